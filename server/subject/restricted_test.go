package subject_test

import (
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-08, TTS-10.
func TestACustomTypeIsThereForSomeWorkloadsOnly(t *testing.T) {
	vm := &stub{typ: "urn:x:vm", principal: &subject.Principal{Issuer: "vm", Subject: "vm:7"}}
	limited := subject.For(vm, spiffeid.MatchID(gateway))
	r := registry(t, limited, &stub{typ: "urn:x:all", principal: vm.principal})
	if err := r.Supports(gateway, "urn:x:vm"); err != nil {
		t.Errorf("Supports = %v", err)
	}
	if p, err := r.Verify(t.Context(), input("urn:x:vm", "token")); err != nil || p.Subject != "vm:7" {
		t.Errorf("Verify = %+v, %v", p, err)
	}

	other := spiffeid.RequireFromString("spiffe://shop.test/a")
	in := input("urn:x:vm", "token")
	for _, requester := range []spiffeid.ID{other, {}} {
		wantError(t, nil, r.Supports(requester, "urn:x:vm"), trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
		in.Requester = requester
		p, err := r.Verify(t.Context(), in)
		wantError(t, p, err, trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
		p, err = limited.Verify(t.Context(), in)
		wantError(t, p, err, trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
	}
	if err := r.Supports(other, "urn:x:all"); err != nil {
		t.Errorf("a type of all workloads: %v", err)
	}
	if vm.calls != 1 {
		t.Errorf("the verifier was called %d times, want once", vm.calls)
	}
}

func TestARestrictionWithoutItsPartsIsRefused(t *testing.T) {
	for says, v := range map[string]subject.Verifier{
		"verifier 0 is nil": subject.For(nil, spiffeid.MatchAny()),
		"matcher":           subject.For(subject.NewUnsignedJSON(), nil),
		"SAML":              subject.For(&stub{typ: trat.TokenTypeSAML2}, spiffeid.MatchAny()),
	} {
		if r, err := subject.NewRegistry(v); r != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("NewRegistry = %v, %v, want %q", r, err, says)
		}
	}
	if _, err := subject.NewRegistry(subject.For(subject.For(nil, spiffeid.MatchAny()), spiffeid.MatchAny())); err == nil {
		t.Error("no error for a nil verifier two levels down")
	}
}

// Covers TTS-08, TTS-09.
func TestTypesThatAreNeverSubjectTokensAreRefusedByName(t *testing.T) {
	r := registry(t, subject.NewUnsignedJSON())
	for typ, says := range map[string]string{
		trat.TokenTypeRefreshToken: "refresh token",
		trat.TokenTypeSAML1:        "SAML",
		trat.TokenTypeSAML2:        "SAML",
	} {
		p, err := r.Verify(t.Context(), input(typ, "PHNhbWw+"))
		wantError(t, p, err, trat.ReasonSubjectTokenTypeUnsupported, "subject_token_type")
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a cause with %q", typ, err, says)
		}
	}
}
