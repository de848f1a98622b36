package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// headBudget is for the head form at any depth.
	headBudget = 450
	// pathBudget is for the path form at depth 4, 3.8 KiB.
	pathBudget = 3891
	// callBudget is for the longest path and the TraT.
	callBudget = 7680
	// tokenSize is that of the TraT which goes with the longest path.
	tokenSize = 700
	// fullGroup is how many links make a tree of 6 levels; siblings are enough calls for one
	// group of them at least, whatever was signed before they all have come.
	fullGroup = 1 << 6
	siblings  = 4 * fullGroup
)

// depths are the numbers of links of the paths that are measured.
var depths = []int{1, 2, 4, callchain.MaxLinks}

// measureChain measures single chains, without a network and without company.
func measureChain(rounds int) ([]row, error) {
	rows, err := signingCosts(rounds)
	if err != nil {
		return nil, err
	}
	more, err := verifyingCosts(rounds)
	if err != nil {
		return nil, err
	}
	sizes, err := chainSizes()
	return append(append(rows, more...), sizes...), err
}

// signingCosts compares a link, ready to be sent, with a signature.
func signingCosts(rounds int) ([]row, error) {
	w, err := newChainWorld()
	if err != nil {
		return nil, err
	}
	defer w.stop()
	bare, err := w.bareSign()
	if err != nil {
		return nil, err
	}
	_, root, err := w.step(0, nil)
	if err != nil {
		return nil, err
	}
	sign := func(n int, parent *callchain.Chain, mode callchain.Mode) func(int) error {
		return func(int) error {
			_, err := w.actors[n].call(w.actors[n+1], w.token, parent, mode)
			return err
		}
	}
	costs, err := compare(2*rounds, tokenTurn,
		subject{"bare", bare},
		subject{"root", sign(0, nil, callchain.ModePath)},
		subject{"head", sign(1, root, callchain.ModeHead)})
	if err != nil {
		return nil, err
	}
	return []row{
		{name: "bare P-256 sign", value: micros(costs["bare"].median()), unit: " us"},
		{name: "sign a link, idle", value: micros(costs["root"].median()), unit: " us"},
		{name: "sign a link, idle / bare P-256 sign", value: costs["root"].over(costs["bare"]), unit: "x", budget: 1.3},
		{name: "sign a link, idle, head form / bare P-256 sign", value: costs["head"].over(costs["bare"]), unit: "x", budget: 1.3},
	}, nil
}

// verifyingCosts compares paths whose certificates were seen before, and none of whose
// signatures was, with as many bare verifications.
func verifyingCosts(rounds int) ([]row, error) {
	w, err := newChainWorld(callchain.WithSignatureRate(1e6)) // every link alone
	if err != nil {
		return nil, err
	}
	defer w.stop()
	bare, err := w.bareVerify()
	if err != nil {
		return nil, err
	}
	verifier, err := callchain.NewVerifier(w.actors[0].source, callchain.WithCacheSize(forgetful))
	if err != nil {
		return nil, err
	}
	subjects := []subject{{"bare", bare}}
	name := func(links int) string { return fmt.Sprintf("path of %d", links) }
	for _, links := range depths {
		encoded, err := w.paths(freshChains, links)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject{name(links), func(i int) error {
			_, err := verifier.Verify(w.received(links-1, encoded[i%freshChains]))
			return err
		}})
	}
	costs, err := compare(rounds, tokenTurn, subjects...)
	if err != nil {
		return nil, err
	}
	rows := []row{{name: "bare P-256 verify", value: micros(costs["bare"].median()), unit: " us"}}
	for _, links := range depths {
		cost := costs[name(links)]
		budget := 1.2
		if links == 1 {
			budget = 1.3
		}
		rows = append(rows,
			row{name: fmt.Sprintf("verify a path, links: %d, idle", links), value: micros(cost.median()), unit: " us"},
			row{
				name:  fmt.Sprintf("verify a path, links: %d, idle / as many bare P-256 verifies", links),
				value: cost.over(costs["bare"]) / float64(links), unit: "x", budget: budget,
			})
	}
	return rows, nil
}

// statement is as long as that of a link.
func statement() []byte { return []byte(strings.Repeat("a link", 60)) }

// bareSign is the least that a link can cost: two hashes, one ECDSA operation.
func (w *chainWorld) bareSign() (func(int) error, error) {
	svid, err := w.actors[0].source.GetX509SVID()
	if err != nil {
		return nil, err
	}
	key, ok := svid.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	text := statement()
	return func(int) error {
		digest := sha256.Sum256(text)
		_, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		return err
	}, nil
}

// bareVerify is the least that the verification of a link can cost.
func (w *chainWorld) bareVerify() (func(int) error, error) {
	svid, err := w.actors[0].source.GetX509SVID()
	if err != nil {
		return nil, err
	}
	text := statement()
	digest := sha256.Sum256(text)
	sigs := make([][]byte, freshTokens)
	for i := range sigs {
		if sigs[i], err = svid.PrivateKey.Sign(rand.Reader, digest[:], nil); err != nil {
			return nil, err
		}
	}
	public, ok := svid.PrivateKey.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	return func(i int) error {
		digest := sha256.Sum256(text)
		if !ecdsa.VerifyASN1(public, digest[:], sigs[i%freshTokens]) {
			return errors.New("signature does not verify")
		}
		return nil
	}, nil
}

// chainSizes are the bytes that a chain adds to a call, of groups of one and of groups of
// 6 levels: each link of the path was signed with 63 others.
func chainSizes() ([]row, error) {
	var rows []row
	for _, c := range []struct {
		label string
		calls int
		rate  float64
	}{
		{"signed alone", 1, 1e6},
		{"groups of 6 levels", siblings, 20},
	} {
		w, err := newChainWorld(callchain.WithSignatureRate(c.rate), callchain.WithMaxGroup(fullGroup))
		if err != nil {
			return nil, err
		}
		more, err := w.sizes(c.label, c.calls)
		w.stop()
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// sizes measures a path whose links were each signed with that many calls at once.
func (w *chainWorld) sizes(label string, calls int) ([]row, error) {
	rows := make([]row, 0, 2*len(depths)+1)
	var chain *callchain.Chain
	for n := range callchain.MaxLinks {
		signed, err := w.inGroup(n, calls, chain)
		if err != nil {
			return nil, err
		}
		head, err1 := signed.Encode(callchain.ModeHead, w.actors[n].leaf)
		path, err2 := signed.Encode(callchain.ModePath, w.actors[n].leaf)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if chain, err = w.actors[n+1].verifier.Verify(w.received(n, path)); err != nil {
			return nil, err
		}
		rows = append(rows, sizeRows(label, n+1, fieldSize(callchain.MetadataKey, len(head)), fieldSize(callchain.MetadataKey, len(path)))...)
	}
	return rows, nil
}

func sizeRows(label string, links, head, path int) []row {
	name := func(form string) string { return fmt.Sprintf("%s on the wire, links: %d, %s", form, links, label) }
	var rows []row
	for _, depth := range depths {
		if depth != links {
			continue
		}
		inPath := row{name: name("path"), value: float64(path), unit: " B"}
		if links == 4 {
			inPath.budget = pathBudget
		}
		rows = append(rows, row{name: name("head"), value: float64(head), unit: " B", budget: headBudget}, inPath)
	}
	if links == callchain.MaxLinks {
		rows = append(rows, row{
			name:  name("path and a TraT of 700 bytes"),
			value: float64(path + fieldSize("txn-token", tokenSize)), unit: " B", budget: callBudget,
		})
	}
	return rows
}

// fieldSize is the size of a header field as HTTP/2 counts it (RFC 9113 section 6.5.2).
func fieldSize(name string, value int) int { return len(name) + value + 32 }
