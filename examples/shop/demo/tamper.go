package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tampering is one change of records that the audit must find.
type tampering struct {
	name     string
	want     string // kind of finding
	withheld string // a file that the audit is not given
	do       func(dir string) error
}

var errNoRecord = errors.New("there is no such record")

// tamperings are what somebody might do who can write the logs. The last two make all
// hashes of the log anew: what gives them away is signed by somebody else.
func tamperings() []tampering {
	return []tampering{
		{name: "a record of stocks removed", want: "damaged log", do: func(dir string) error {
			return rewrite(dir, "stocks", func(log []string) ([]string, error) {
				i, err := record(log, "Reserve")
				return slices.Delete(log, i, i+1), err
			})
		}},
		{name: "a record of orders changed: another caller", want: "damaged log", do: func(dir string) error {
			return rewrite(dir, "orders", func(log []string) ([]string, error) {
				i, err := record(log, "CreateOrder")
				log[i] = strings.Replace(log[i], `"peer":"spiffe://shop.test/gateway"`, `"peer":"spiffe://shop.test/scheduler"`, 1)
				return log, err
			})
		}},
		{name: "the log of payments withheld", want: "link without server record", withheld: chainLog("payments"), do: func(string) error {
			return nil
		}},
		{name: "the log of orders withheld", want: "link without server record", withheld: chainLog("orders"), do: func(string) error {
			return nil
		}},
		{name: "the end of orders' log cut off", want: "log without an end", do: func(dir string) error {
			return rewrite(dir, "orders", func(log []string) ([]string, error) { return log[:len(log)-2], nil })
		}},
		{name: "a forged parent, all hashes made anew", want: "signature invalid", do: forgeParent},
		{name: "a call of stocks claimed by payments, as well", want: "wrong audience", do: claimCall},
	}
}

// forgeParent makes the record of the charge say that another call led to it: the one by
// which the gateway asked how the order is doing.
func forgeParent(dir string) error {
	orders, err := readLog(dir, "orders")
	if err != nil {
		return err
	}
	other, err := record(orders, "TrackOrder")
	if err != nil {
		return err
	}
	from, err := receiptOf(orders[other])
	if err != nil {
		return err
	}
	return rewrite(dir, "payments", func(log []string) ([]string, error) {
		i, err := record(log, "Charge")
		if err != nil {
			return nil, err
		}
		to, err := receiptOf(log[i])
		if err != nil {
			return nil, err
		}
		to.full[0] = beforeOthers(from.full[0])
		log[i] = receipts.ReplaceAllLiteralString(log[i], `"receipt":"`+to.withoutCertificates()+`"`)
		return rechained(log), nil
	})
}

// claimCall puts a record of stocks into payments' log, as a call of payments.
func claimCall(dir string) error {
	stocks, err := readLog(dir, "stocks")
	if err != nil {
		return err
	}
	i, err := record(stocks, "Reserve")
	if err != nil {
		return err
	}
	claimed := strings.Replace(stocks[i], `"server":"spiffe://shop.test/stocks"`, `"server":"spiffe://shop.test/payments"`, 1)
	return rewrite(dir, "payments", func(log []string) ([]string, error) {
		return rechained(slices.Insert(log, len(log)-1, claimed)), nil
	})
}

// receipts matches the links in a record.
var receipts = regexp.MustCompile(`"receipt":"([\w-]+)"`)

// receiptOf returns the links of a record. In a log, certificates have lines of their own.
func receiptOf(line string) (pieces, error) {
	found := receipts.FindStringSubmatch(line)
	if found == nil {
		return pieces{}, errNoRecord
	}
	raw, err := base64.RawURLEncoding.DecodeString(found[1])
	if err != nil {
		return pieces{}, err
	}
	r := cutter{rest: raw}
	p := pieces{form: r.byte(), full: r.fullLinks()}
	if r.failed || len(r.rest) > 0 {
		return pieces{}, errPieces
	}
	return p, nil
}

// withoutCertificates is p as it stands in a record.
func (p pieces) withoutCertificates() string {
	raw := append([]byte{p.form, byte(len(p.full))}, slices.Concat(p.full...)...) //nolint:gosec // a handful
	return base64.RawURLEncoding.EncodeToString(raw)
}

// record finds the first record of a call of the method.
func record(log []string, method string) (int, error) {
	i := slices.IndexFunc(log, func(line string) bool {
		return strings.Contains(line, `"event.name":"txn_chain.audit"`) && strings.Contains(line, "/"+method+`"`)
	})
	if i < 0 {
		return 0, fmt.Errorf("%w: %s", errNoRecord, method)
	}
	return i, nil
}

// rewrite changes the log of a service, line by line.
func rewrite(dir, service string, change func(log []string) ([]string, error)) error {
	log, err := readLog(dir, service)
	if err != nil {
		return err
	}
	if log, err = change(log); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, chainLog(service)), []byte(strings.Join(log, "\n")+"\n"), 0o600)
}

func readLog(dir, service string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, chainLog(service)))
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), err
}

// rechained makes numbers and hashes of a log anew (docs/audit-log.md, Format).
func rechained(log []string) []string {
	before := strings.Repeat("0", 2*sha256.Size)
	for i, line := range log {
		_, rest, _ := strings.Cut(line, `","event.name":`)
		rest = rest[:strings.LastIndex(rest, `,"hash":"`)]
		text := fmt.Sprintf(`{"seq":%d,"prev":%q,"event.name":%s`, i+1, before, rest)
		sum := sha256.Sum256([]byte(text))
		before = hex.EncodeToString(sum[:])
		log[i] = text + `,"hash":"` + before + `"}`
	}
	return log
}
