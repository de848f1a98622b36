package httptoken_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestPublishedKeysAreTheRingsAndNoOlderThanASecond(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), stranger) // any member
	answer := get(t, client, "/jwks")
	want, _ := f.Ring.Snapshot()
	if answer.status != http.StatusOK || answer.text != string(want) {
		t.Fatalf("status %d, %s", answer.status, answer.text)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/jwk-set+json", "Cache-Control": "max-age=1, must-revalidate", "Pragma": "",
		"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
	} {
		if got := answer.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if keys.DefaultLead < 2*time.Second {
		t.Error("a copy may be as old as the time in which it has to be replaced")
	}
	tag := answer.header.Get("Etag")
	for value, status := range map[string]int{
		tag: http.StatusNotModified, `"x", W/` + tag: http.StatusNotModified, "*": http.StatusNotModified,
		`"x"`: http.StatusOK, strings.Trim(tag, `"`): http.StatusOK,
	} {
		request := newRequest(t, http.MethodGet, "/jwks", "")
		request.Header.Set("If-None-Match", value)
		again := do(t, client, request)
		if again.status != status || (again.text == "") != (status == http.StatusNotModified) || again.header.Get("Etag") != tag {
			t.Errorf("If-None-Match: %s: status %d, %q", value, again.status, again.text)
		}
	}
	head := do(t, client, newRequest(t, http.MethodHead, "/jwks", ""))
	if head.status != http.StatusOK || head.text != "" || head.header.Get("Etag") != tag {
		t.Errorf("HEAD: status %d, %q, %v", head.status, head.text, head.header)
	}
}

// Covers TTS-44.
func TestMetadataIsTheConfigurationsAndWhereRFC8414WantsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		issuer, base string
		at           string
		token, jwks  string // paths
	}{
		"a host":          {"https://tts.shop.test", "", "/.well-known/oauth-authorization-server", "/token", "/jwks"},
		"a slash":         {"https://tts.shop.test/", "", "/.well-known/oauth-authorization-server", "/token", "/jwks"},
		"a path":          {"https://shop.test/a/tts", "", "/.well-known/oauth-authorization-server/a/tts", "/a/tts/token", "/a/tts/jwks"},
		"a path, a slash": {"https://shop.test/tts/", "", "/.well-known/oauth-authorization-server/tts", "/tts/token", "/tts/jwks"},
		"another base":    {"https://shop.test/tts", "https://gw.test:8444", "/.well-known/oauth-authorization-server/tts", "/token", "/jwks"},
		"a base's path":   {"https://shop.test", "https://gw.test/x%2Fy/", "/.well-known/oauth-authorization-server", "/x%2Fy/token", "/x%2Fy/jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			h := f.handler(t, func(c *httptoken.Config) { c.Issuer, c.BaseURL = tc.issuer, tc.base })
			client := f.client(t, f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Handler = h }), gateway)
			base := tc.base
			if base == "" {
				base = tc.issuer
			}
			base = strings.TrimRight(base, "/")
			answer := get(t, client, tc.at)
			want := `{"issuer":"` + tc.issuer + `","token_endpoint":"` + base + `/token","jwks_uri":"` + base + `/jwks",` +
				`"response_types_supported":[],"grant_types_supported":["` + trat.GrantType + `"],` +
				`"token_endpoint_auth_methods_supported":["tls_client_auth"]}`
			if diff := cmp.Diff(want, answer.text); answer.status != http.StatusOK || diff != "" {
				t.Errorf("status %d (-want +got):\n%s", answer.status, diff)
			}
			if answer.header.Get("Content-Type") != "application/json" || answer.header.Get("Cache-Control") != "max-age=300" {
				t.Errorf("header %v", answer.header)
			}
			if answer := get(t, client, tc.jwks); answer.status != http.StatusOK {
				t.Errorf("%s: status %d", tc.jwks, answer.status)
			}
			if answer := get(t, client, tc.token); answer.status != http.StatusMethodNotAllowed {
				t.Errorf("%s: status %d", tc.token, answer.status)
			}
		})
	}
}

func TestMethodsAndPathsThatAreNotThereAreJSONToo(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), gateway)
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/token", http.StatusMethodNotAllowed, "POST"},
		{http.MethodHead, "/token", http.StatusMethodNotAllowed, "POST"},
		{http.MethodOptions, "/token", http.StatusMethodNotAllowed, "POST"},
		{http.MethodPut, "/token", http.StatusMethodNotAllowed, "POST"},
		{"P", "/token", http.StatusMethodNotAllowed, "POST"},
		{http.MethodTrace, "/jwks", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodPost, "/jwks", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodDelete, "/.well-known/oauth-authorization-server", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/", http.StatusNotFound, ""},
		{http.MethodPost, "/token/", http.StatusNotFound, ""},
		{http.MethodPost, "//token", http.StatusNotFound, ""},
		{http.MethodPost, "/x/../token", http.StatusNotFound, ""},
		{http.MethodPost, "/%74oken", http.StatusNotFound, ""},
		{http.MethodGet, "/debug/pprof/", http.StatusNotFound, ""},
		{http.MethodGet, "/.well-known/openid-configuration", http.StatusNotFound, ""},
		{http.MethodGet, "/.well-known/oauth-authorization-server/tts", http.StatusNotFound, ""},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			request := newRequest(t, http.MethodPost, tc.path, "")
			request.Method = tc.method
			answer := do(t, client, request)
			if answer.status != tc.status || answer.header.Get("Allow") != tc.allow || answer.header.Get("Location") != "" {
				t.Errorf("status %d, header %v", answer.status, answer.header)
			}
			if answer.header.Get("Content-Type") != "application/json" || answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", answer.header)
			}
			if tc.method != http.MethodHead && answer.body.Error == "" {
				t.Errorf("body %s", answer.text)
			}
			for name := range answer.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("header %s", name)
				}
			}
		})
	}
	if r := f.Records.Take(); len(r) != 0 {
		t.Errorf("audit records of what is no exchange: %+v", r)
	}
}

// Covers SEC-01.
func TestDocumentsAreForMembersWithAValidSVID(t *testing.T) {
	foreign := spiffeid.RequireTrustDomainFromString("other.test")
	paths := []string{"/jwks", "/.well-known/oauth-authorization-server"}
	for name, tc := range map[string]struct {
		prepare func(*fixture)
		change  func(*server.Config)
		reason  trat.Reason
		oauth   string
	}{
		"an expired SVID": {
			prepare: func(f *fixture) { f.Clock.Advance(devauthority.DefaultSVIDLifetime + time.Second) },
			reason:  trat.ReasonPeerSVIDExpired, oauth: "invalid_client",
		},
		"another trust domain": {
			change: func(c *server.Config) { c.TrustDomain = foreign },
			reason: trat.ReasonPeerDenied, oauth: "unauthorized_client",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []func(*server.Config)
			if tc.change != nil {
				changes = append(changes, tc.change)
			}
			f := newFixture(t, changes...)
			client := f.client(t, f.serveHTTP(t), gateway)
			get(t, client, "/jwks") // connects
			if tc.prepare != nil {
				tc.prepare(f)
			}
			for _, path := range paths {
				answer := get(t, client, path)
				if answer.body.Reason != tc.reason || answer.body.Error != tc.oauth || strings.Contains(answer.text, "keys") ||
					!slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized}, answer.status) {
					t.Errorf("%s: status %d, %s", path, answer.status, answer.text)
				}
			}
		})
	}
}
