package chainaudit

import (
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// maxGuesses is how many explanations are tried for a chain that does not verify.
	maxGuesses = 32
	// maxExplained is for how many such chains of one log they are: whoever writes a log can
	// write any number.
	maxExplained = 256
	// maxCompared is how many calls of the transaction they are looked for in.
	maxCompared = 4096
)

var errCertificateMissing = errors.New("no log has one of its certificates")

// prove verifies the chain of a call as its server must have.
func (s *sorter) prove(c *judged) {
	c.chain, c.err = s.verify(c, c.Server, c)
}

// verify verifies the chain of c as one that came to audience with the token of the call
// token.
func (s *sorter) verify(c *judged, audience spiffeid.ID, token *judged) (*callchain.Chain, error) {
	certificates := make([][]byte, len(c.Certificates))
	for i, hash := range c.Certificates {
		der, ok := s.certificates.get(hash)
		if !ok {
			return nil, errCertificateMissing
		}
		certificates[i] = der
	}
	receipt, err := c.Receipt(certificates)
	if err != nil {
		return nil, err
	}
	e := callchain.Evidence{
		Encoded: receipt, Audience: audience, TokenHash: token.TokenHash,
		Root: token.Requester, Anchor: token.Anchor, IssuedAt: token.IssuedAt, At: c.time,
	}
	v, err := s.bundles.verifier(c.bundle)
	if err != nil {
		return nil, err
	}
	chain, err := v.VerifyEvidence(e)
	if err == nil || c.before == 0 || s.bundles.given != nil {
		return chain, err
	}
	// The bundle may have changed between the judgement and its record.
	if v, e2 := s.bundles.verifier(c.before); e2 == nil {
		if chain, e2 := v.VerifyEvidence(e); e2 == nil {
			return chain, nil
		}
	}
	return nil, err
}

// explain says what is wrong with a chain that does not verify. The Chain is what it turned
// out to be, if that is known.
func (q *inquiry) explain(c *judged) (Finding, *callchain.Chain, error) {
	f := Finding{
		Severity: SeverityAlarm, Log: c.file, Line: c.line, Link: c.Link.String(),
		Servers: servers(c.Server.String(), c.Peer.String()),
	}
	reason, field := trat.Reason(""), ""
	if failure, ok := errors.AsType[*trat.Error](c.err); ok {
		reason, field = failure.Reason, failure.Field
	}
	switch {
	case errors.Is(c.err, errNoBundle) || reason == trat.ReasonKeysUnavailable:
		f.Kind, f.Severity = KindBundleUnknown, SeverityWarning
		f.Text = fmt.Sprintf("The chain that %s recorded cannot be verified: no bundle of the trust domain %s is known for that time.",
			c.Server, c.Server.TrustDomain())
		return f, nil, nil
	case errors.Is(c.err, errCertificateMissing):
		f.Kind = KindSignatureInvalid
		f.Text = fmt.Sprintf("The chain that %s recorded cannot be verified: the log lacks a certificate that it names.", c.Server)
		return f, nil, nil
	}
	var others []*judged
	guess := c.log.explained.Add(1) <= maxExplained
	if guess {
		var err error
		if others, err = q.s.elsewhere(c.Link); err != nil {
			return f, nil, err
		}
		others = append(others, q.m.calls[:min(len(q.m.calls), maxCompared)]...)
	}
	if chain, audience := q.otherAudience(c, others); chain != nil {
		f.Kind = KindWrongAudience
		f.Servers = servers(append(f.Servers, audience.String())...)
		f.Text = fmt.Sprintf("%s recorded as its own a call of %s that %s had signed for %s.",
			c.Server, c.Method, chain.Last().Issuer(), audience)
		return f, chain, nil
	}
	if other := q.otherToken(c, others); other != nil {
		f.Kind = KindSplicedLink
		f.Text = fmt.Sprintf("%s recorded a call with a chain that belongs to another token%s: it was cut out there and put in here.",
			c.Server, ofTransaction(other, c))
		return f, nil, nil
	}
	if reason == trat.ReasonChainRootMismatch {
		f.Kind = KindTwoRoots
		f.Text = fmt.Sprintf("%s accepted a chain from %s that does not begin with %s, for which the token was issued: "+
			"somebody else has begun a chain of their own.", c.Server, peerName(c.Call), c.Requester)
		return f, nil, nil
	}
	f.Kind = KindSignatureInvalid
	f.Text = fmt.Sprintf("The chain that %s recorded for a call of %s by %s does not verify (%s): "+
		"a link or the record was changed, or %s.", c.Server, c.Method, peerName(c.Call), flaw(c.err, field), lax(c.Mode))
	return f, nil, nil
}

// otherAudience looks for the workload that a chain was really made for.
func (q *inquiry) otherAudience(c *judged, others []*judged) (*callchain.Chain, spiffeid.ID) {
	tried := map[spiffeid.ID]bool{c.Server: true}
	for _, other := range others {
		for _, id := range [...]spiffeid.ID{other.Server, other.Peer} {
			if tried[id] || id.IsZero() || len(tried) > maxGuesses {
				continue
			}
			tried[id] = true
			if chain, err := q.s.verify(c, id, c); err == nil {
				return chain, id
			}
		}
	}
	return nil, spiffeid.ID{}
}

// otherToken looks for the call with which a chain really came.
func (q *inquiry) otherToken(c *judged, others []*judged) *judged {
	tried := map[[32]byte]bool{c.TokenHash: true}
	for _, other := range others {
		if tried[other.TokenHash] || len(tried) > maxGuesses {
			continue
		}
		tried[other.TokenHash] = true
		for _, audience := range [...]spiffeid.ID{c.Server, other.Server} {
			if _, err := q.s.verify(c, audience, other); err == nil {
				return other
			}
		}
	}
	return nil
}

func ofTransaction(other, c *judged) string {
	if other.Transaction == c.Transaction {
		return " of this transaction"
	}
	return " of the transaction " + other.Transaction
}

// flaw says what of a link is wrong.
func flaw(err error, field string) string {
	switch field {
	case callchain.MetadataKey:
		return "it is not in the format of chains"
	case callchain.FieldSignature:
		return "a signature is wrong"
	case callchain.FieldCertificate:
		return "a certificate is not of that workload, was not valid then, or leads to no authority that was trusted then"
	case callchain.FieldExpiry, callchain.FieldIssuedAt:
		return "a time in it does not fit"
	case "":
		return err.Error()
	}
	return field + " is wrong"
}

// lax says what a server may have overlooked.
func lax(mode string) string {
	if mode == callchain.ModeHead.String() {
		return "the caller sent wrong links before its own, at which a method in head mode does not look"
	}
	return "the server accepted what it must refuse"
}
