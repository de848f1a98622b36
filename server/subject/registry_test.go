package subject_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// stub is a verifier of some type.
type stub struct {
	typ       string
	principal *subject.Principal
	calls     int
}

func (s *stub) Type() string { return s.typ }

func (s *stub) Verify(context.Context, subject.Input) (*subject.Principal, error) {
	s.calls++
	return s.principal, nil
}

// Covers TTS-08, TTS-09.
func TestOnlyRegisteredTypesAreLookedAt(t *testing.T) {
	vm := &stub{typ: "urn:x:vm", principal: &subject.Principal{Issuer: "vm", Subject: "vm:7"}}
	r := registry(t, vm)
	if p, err := r.Verify(t.Context(), input("urn:x:vm", "token")); err != nil || p.Subject != "vm:7" {
		t.Errorf("a registered type: %+v, %v", p, err)
	}
	if err := r.Supports(gateway, "urn:x:vm"); err != nil {
		t.Errorf("Supports(a registered type) = %v", err)
	}
	for _, typ := range []string{
		"", "vm", "urn:x:VM", "urn:x:vm ", trat.TokenTypeAccessToken, trat.TokenTypeIDToken, trat.TokenTypeSelfSigned, trat.TokenTypeUnsignedJSON,
		"urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:saml2", trat.TokenType,
	} {
		p, err := r.Verify(t.Context(), input(typ, "token"))
		wantError(t, p, err, trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
		wantError(t, nil, r.Supports(gateway, typ), trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
	}
	if vm.calls != 1 {
		t.Errorf("the verifier was called %d times, want once", vm.calls)
	}
}

// Covers TTS-09.
func TestARegistryRefusesWhatCannotBeASubjectTokenType(t *testing.T) {
	for name, verifiers := range map[string][]subject.Verifier{
		"is nil":                {nil},
		"not an absolute URI":   {&stub{typ: "access_token"}},
		"registered twice":      {subject.NewUnsignedJSON(), subject.NewUnsignedJSON()},
		"never a subject token": {&stub{typ: "urn:ietf:params:oauth:token-type:refresh_token"}},
		"SAML assertions":       {&stub{typ: "urn:ietf:params:oauth:token-type:saml1"}, &stub{typ: trat.TokenTypeSAML2}},
	} {
		if r, err := subject.NewRegistry(verifiers...); r != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("NewRegistry = %v, %v, want %q", r, err, name)
		}
	}
	_, err := subject.NewRegistry(nil, &stub{typ: "x"}, &stub{typ: "y"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("NewRegistry = %v, want three problems", err)
	}
}

func TestARegistryWithoutVerifiersRefusesEverything(t *testing.T) {
	p, err := registry(t).Verify(t.Context(), input(trat.TokenTypeAccessToken, "token"))
	wantError(t, p, err, trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
}

func TestARegistryGuardsItsVerifiers(t *testing.T) {
	good := &subject.Principal{Issuer: "vm", Subject: "vm:7"}
	for _, test := range []struct {
		name      string
		principal *subject.Principal
		change    func(*subject.Input)
		reason    trat.Reason
		field     string
	}{
		{"no requester", good, func(in *subject.Input) { in.Requester = spiffeid.ID{} }, trat.ReasonInternal, ""},
		{"no time", good, func(in *subject.Input) { in.Now = time.Time{} }, trat.ReasonInternal, ""},
		{"no token", good, func(in *subject.Input) { in.Token = "" }, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"a token that is too long", good, func(in *subject.Input) {
			in.Token = strings.Repeat("x", subject.MaxTokenSize+1)
		}, trat.ReasonSubjectTokenInvalid, "subject_token"},
		{"no principal", nil, func(*subject.Input) {}, trat.ReasonInternal, ""},
		{"a principal without subject", &subject.Principal{Issuer: "vm"}, func(*subject.Input) {}, trat.ReasonInternal, ""},
		{"a principal without issuer", &subject.Principal{Subject: "vm:7"}, func(*subject.Input) {}, trat.ReasonInternal, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := registry(t, &stub{typ: "urn:x:vm", principal: test.principal})
			in := input("urn:x:vm", "token")
			test.change(&in)
			p, err := r.Verify(t.Context(), in)
			wantError(t, p, err, test.reason, test.field)
		})
	}
}

func TestAnInputDoesNotPrintItsToken(t *testing.T) {
	in := input(trat.TokenTypeAccessToken, "eyJhbGciOiJub25lIn0.e30.")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "in", in)
	for _, text := range []string{
		in.String(), fmt.Sprint(in), fmt.Sprintf("%+v", in), fmt.Sprintf("%#v", in), fmt.Sprintf("%q", in), fmt.Sprintf("%s", &in), log.String(),
	} {
		if strings.Contains(text, "eyJ") || !strings.Contains(text, "gateway") {
			t.Errorf("prints as %q", text)
		}
	}
}
