package chainaudit

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	// verifierCache is how many leaves and roots of groups each verifier remembers.
	verifierCache = 2048
	// maxVerifiers is how many bundles have one at a time.
	maxVerifiers = 8
	// settled is how long after a bundle has changed in one place it must have elsewhere.
	settled = 10 * time.Minute
)

// bundles has what the servers trusted, and what verifies by it. Safe for concurrent use.
type bundles struct {
	given *callchain.Verifier // by the auditor's own bundles; nil for none

	certificates *certificates
	mu           sync.Mutex
	all          []chainlog.Bundle
	known        map[[32]byte]uint64 // index into all
	verifiers    map[uint64]*callchain.Verifier
	order        []uint64               // of verifiers, that used last at the end
	seen         map[sighting]time.Time // the first time
	domains      map[sighting]bool      // those of seen, without authority
}

// sighting is one authority in a bundle of one log.
type sighting struct {
	log       int
	domain    spiffeid.TrustDomain
	authority [32]byte
}

// add returns the number of a bundle, from 1.
func (b *bundles) add(log int, at time.Time, bundle *chainlog.Bundle) uint64 {
	authorities := slices.Clone(bundle.Authorities)
	slices.SortFunc(authorities, func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
	h := sha256.New()
	h.Write([]byte(bundle.TrustDomain.Name()))
	for i := range authorities {
		h.Write(authorities[i][:])
	}
	key := [32]byte(h.Sum(nil))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, authority := range authorities {
		s := sighting{log: log, domain: bundle.TrustDomain, authority: authority}
		if first, ok := b.seen[s]; !ok || at.Before(first) {
			b.seen[s] = at
		}
		b.domains[sighting{log: log, domain: bundle.TrustDomain}] = true
	}
	number, ok := b.known[key]
	if !ok {
		b.all = append(b.all, chainlog.Bundle{TrustDomain: bundle.TrustDomain, Authorities: authorities})
		number = uint64(len(b.all))
		b.known[key] = number
	}
	return number
}

var errNoBundle = errors.New("no bundle is known")

// verifier returns what verifies by the bundle of that number.
func (b *bundles) verifier(number uint64) (*callchain.Verifier, error) {
	if b.given != nil {
		return b.given, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if number == 0 || number > uint64(len(b.all)) {
		return nil, errNoBundle
	}
	if v := b.verifiers[number]; v != nil {
		i := slices.Index(b.order, number)
		b.order = append(slices.Delete(b.order, i, i+1), number)
		return v, nil
	}
	bundle, err := b.load(&b.all[number-1])
	if err != nil {
		return nil, err
	}
	v, err := callchain.NewVerifier(bundle, callchain.WithCacheSize(verifierCache))
	if err != nil {
		return nil, err
	}
	if len(b.order) == maxVerifiers {
		delete(b.verifiers, b.order[0])
		b.order = b.order[1:]
	}
	b.verifiers[number] = v
	b.order = append(b.order, number)
	return v, nil
}

func (b *bundles) load(bundle *chainlog.Bundle) (*x509bundle.Bundle, error) {
	loaded := x509bundle.New(bundle.TrustDomain)
	for _, hash := range bundle.Authorities {
		der, ok := b.certificates.get(hash)
		if !ok {
			return nil, errNoBundle
		}
		authority, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		loaded.AddX509Authority(authority)
	}
	return loaded, nil
}

// maxDisputes is how many authorities of one log are named that others do not know.
const maxDisputes = 100

// disputed finds authorities that one log names and another one, of the same trust domain,
// does not, long after it should: somebody may have added an authority of their own.
func (b *bundles) disputed(logs []*chainLog) []Finding {
	var findings []Finding
	disputes := make([]int, len(logs))
	for s, at := range b.seen {
		other := b.ignorant(s, at, logs)
		if other == nil || disputes[s.log] == maxDisputes {
			continue
		}
		disputes[s.log]++
		findings = append(findings, Finding{
			Kind: KindBundleDisputed, Severity: SeverityWarning, Servers: servers(logs[s.log].Server, other.Server), Log: logs[s.log].Name,
			Text: fmt.Sprintf("%s says that it trusted the certificate authority %s for %s from %s on, and %s never did: "+
				"whoever owns that authority can have made up calls that only the first log tells of.",
				logs[s.log].Server, callchain.Hash(s.authority), s.domain, at.UTC().Format(time.RFC3339), other.Server),
		})
	}
	slices.SortStableFunc(findings, func(x, y Finding) int { return cmp.Compare(x.Text, y.Text) })
	return findings
}

// ignorant returns a log that should name the authority and does not.
func (b *bundles) ignorant(s sighting, at time.Time, logs []*chainLog) *chainLog {
	for i, other := range logs {
		if i == s.log || !b.domains[sighting{log: i, domain: s.domain}] ||
			other.last.Before(at.Add(settled)) || other.first.After(at.Add(settled)) {
			continue
		}
		if _, names := b.seen[sighting{log: i, domain: s.domain, authority: s.authority}]; !names {
			return other
		}
	}
	return nil
}
