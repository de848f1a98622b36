package render

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// element is a start tag of a page.
type element struct {
	name  string
	attrs map[string]string
	text  string // directly below
}

// parsePage reads page as XML, which it is besides being HTML, so that nothing is mended.
func parsePage(t *testing.T, page string) []*element {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict = true
	decoder.Entity = map[string]string{}
	var all, open []*element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: make(map[string]string)}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		case xml.Comment:
			t.Errorf("a comment: %s", token)
		}
	}
}

// elementsOfThePage are all that the templates use: what is not among them was smuggled in.
var elementsOfThePage = strings.Fields(`html head meta title style body svg symbol circle path rect use g text desc a
	header h1 h2 h3 p code div strong main ul li b section span details summary figure figcaption table thead tr th tbody td
	dl dt dd footer`)

func pages() map[string]*chainaudit.Report {
	all := examples()
	all["hostile"] = hostileReport()
	many := &chainaudit.Report{}
	for range PageTransactions + 7 {
		many.Transactions = append(many.Transactions, cleanTransaction())
	}
	all["many"] = reportOf(many.Transactions...)
	return all
}

func TestPageIsSelfContained(t *testing.T) {
	for name, r := range pages() {
		t.Run(name, func(t *testing.T) {
			ids, targets := make(map[string]bool), make(map[string]bool)
			policy, style := "", ""
			for _, e := range parsePage(t, htmlOf(t, r)) {
				if !slices.Contains(elementsOfThePage, e.name) {
					t.Errorf("element %s", e.name)
				}
				if e.attrs["http-equiv"] == "Content-Security-Policy" {
					policy = e.attrs["content"]
				}
				if e.name == "style" {
					style += e.text
				}
				for key, value := range e.attrs {
					switch {
					case strings.HasPrefix(key, "on") || slices.Contains([]string{"src", "style", "srcset", "action", "data"}, key):
						t.Errorf("<%s %s=%q>", e.name, key, value)
					case key == "href" && !strings.HasPrefix(value, "#"):
						t.Errorf("leads away: %q", value)
					case key == "href":
						targets[value[1:]] = true
					case key == "id":
						if ids[value] {
							t.Errorf("two elements %q", value)
						}
						ids[value] = true
					}
				}
			}
			for target := range targets {
				if !ids[target] {
					t.Errorf("nothing at #%s", target)
				}
			}
			want := "default-src 'none'; style-src 'sha256-" + digest(style) + "'; base-uri 'none'; form-action 'none'"
			if policy != want {
				t.Errorf("policy %q, want %q", policy, want)
			}
			if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
				t.Error("the style loads something")
			}
		})
	}
}

var reference = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`)

func TestPageNamesNoAddressOfANetwork(t *testing.T) {
	for name, r := range examples() {
		page := strings.ReplaceAll(htmlOf(t, r), scheme, "")
		if found := reference.FindString(page); found != "" {
			t.Errorf("%s: %q", name, found)
		}
	}
}

func TestPageEscapesNamesOfStrangers(t *testing.T) {
	page := htmlOf(t, hostileReport())
	for _, r := range []rune{'\u202e', '\u2066', '\x1b', '\u009b', '\x00', '\r'} {
		if strings.ContainsRune(page, r) {
			t.Errorf("%U is in the page", r)
		}
	}
	shown := ""
	for _, e := range parsePage(t, page) {
		shown += e.text + " "
	}
	for _, want := range []string{"</title></text></svg><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, `\u202egnp.exe`} {
		if !strings.Contains(shown, want) {
			t.Errorf("does not show %q", want)
		}
	}
	if strings.Contains(page, strings.Repeat("W", sentenceLetters+1)) {
		t.Error("a name without end")
	}
}

func TestPageIsBoundedAndSaysSo(t *testing.T) {
	var transactions []*chainaudit.Transaction
	for range PageTransactions + 7 {
		transactions = append(transactions, cleanTransaction())
	}
	page := htmlOf(t, reportOf(transactions...))
	if n := strings.Count(page, `<details class="card txn"`); n != PageTransactions {
		t.Errorf("%d transactions", n)
	}
	if want := fmt.Sprintf("it shows %d of %d transactions, the worst first. The other 7", PageTransactions, PageTransactions+7); !strings.Contains(page, want) {
		t.Errorf("no %q", want)
	}

	b := build("broad", "gateway")
	root := b.call(nil, "gateway", "orders", "S/M")
	for i := range 500 {
		h := b.call(root, "orders", "w"+strconv.Itoa(i), "S/M")
		if i == 400 {
			b.find(h, chainaudit.KindRefused, chainaudit.SeverityInfo, "refused")
		}
	}
	page = htmlOf(t, reportOf(b.Transaction))
	if n := strings.Count(page, `<tr id="t1h`); n != maxDrawn {
		t.Errorf("%d hops in the table", n)
	}
	for _, want := range []string{`id="t1h402"`, "441 of 501 hops are left out", ">441 more hops</text>", `<a href="#t1h402">hop 402</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// Contrast of text against what is behind it, as WCAG 2 counts it, in both colour schemes.
func TestColoursCanBeRead(t *testing.T) {
	light, dark, _ := strings.Cut(pageStyle, "prefers-color-scheme: dark")
	for name, style := range map[string]string{"light": light, "dark": dark} {
		colour := make(map[string]float64)
		for _, found := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(style, -1) {
			if _, ok := colour[found[1]]; !ok {
				colour[found[1]] = luminance(t, found[2])
			}
		}
		for _, pair := range []string{
			"text card", "text page", "dim card", "dim page", "accent card", "text good-bg", "dim good-bg", "good good-bg",
			"text note-bg", "dim note-bg", "note note-bg", "text warn-bg", "dim warn-bg", "warn warn-bg",
			"text bad-bg", "dim bad-bg", "bad bad-bg", "dim start-bg", "good card", "note card", "warn card", "bad card", "accent bad-bg",
		} {
			front, back, _ := strings.Cut(pair, " ")
			a, b := colour[front], colour[back]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s: %s has contrast %.1f", name, pair, ratio)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// That a token is missing where it should be is not the same as that nobody has looked.
func TestPageTellsWhetherTokensWereLookedUp(t *testing.T) {
	for issued, want := range map[chainaudit.Issuance]string{
		chainaudit.IssuanceRecorded:     "found in the token service&#39;s log",
		chainaudit.IssuanceContradicted: "not in the token service&#39;s log as the servers say",
		chainaudit.IssuanceUnknown:      "no log of the token service was given",
	} {
		transaction := cleanTransaction()
		transaction.Tokens[0].Issued = issued
		if page := htmlOf(t, reportOf(transaction)); !strings.Contains(page, want) {
			t.Errorf("%s: the page does not say %q", issued, want)
		}
	}
}
