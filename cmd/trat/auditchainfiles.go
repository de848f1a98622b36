package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/render"
)

// maxBundle is the longest file with a bundle that is read.
const maxBundle = 1 << 20

// readBundles reads the values of --bundle. Those of one trust domain add up, because the
// authorities of past times are asked for too. Without any it returns nil.
func readBundles(cmd *cobra.Command, values []string) (x509bundle.Source, error) {
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // none were given, and that has a meaning
	}
	set := x509bundle.NewSet()
	var problems []error
	for _, value := range values {
		name, file, ok := strings.Cut(value, "=")
		domain, err := spiffeid.TrustDomainFromString(name)
		if !ok || file == "" || err != nil {
			return nil, usageError{fmt.Errorf("--bundle: want DOMAIN=FILE such as shop.test=bundle.pem, not %q", value)}
		}
		bundle, err := readBundle(cmd, domain, file)
		if err != nil {
			problems = append(problems, fmt.Errorf("--bundle: %w", err))
			continue
		}
		if known, ok := set.Get(domain); ok {
			for _, authority := range bundle.X509Authorities() {
				known.AddX509Authority(authority)
			}
			continue
		}
		set.Add(bundle)
	}
	return set, errors.Join(problems...)
}

// readBundle reads certificates in PEM, or a bundle in the JSON of SPIFFE.
func readBundle(cmd *cobra.Command, domain spiffeid.TrustDomain, name string) (*x509bundle.Bundle, error) {
	text, err := readInput(cmd, name, maxBundle)
	if err != nil {
		return nil, err
	}
	parse := x509bundle.Parse
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		parse = parseSPIFFE
	}
	bundle, err := parse(domain, text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case bundle.Empty():
		return nil, fmt.Errorf("%s has no certificate of an authority", name)
	}
	return bundle, nil
}

func parseSPIFFE(domain spiffeid.TrustDomain, text []byte) (*x509bundle.Bundle, error) {
	bundle, err := spiffebundle.Parse(domain, text)
	if err != nil {
		return nil, err
	}
	return bundle.X509Bundle(), nil
}

// auditPage is the file of --html. It comes into being when it is complete; that it can be
// made is known before the audit. On a nil auditPage every method does nothing.
type auditPage struct {
	file *os.File // under another name
	name string
}

func (o *auditOptions) page() (*auditPage, error) {
	if o.html == "" {
		return nil, nil //nolint:nilnil // no page is wanted
	}
	file, err := os.CreateTemp(filepath.Dir(o.html), ".trat-audit-*")
	if err != nil {
		return nil, err
	}
	return &auditPage{file: file, name: o.html}, nil
}

func (p *auditPage) write(r *chainaudit.Report, now time.Time) error {
	if p == nil {
		return nil
	}
	if err := render.WriteHTML(p.file, r, now); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), p.name)
}

// discard removes what was not completed.
func (p *auditPage) discard() {
	if p == nil {
		return
	}
	_ = p.file.Close()
	_ = os.Remove(p.file.Name()) // it is not there if it got its name
}
