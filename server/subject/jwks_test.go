package subject

import (
	"slices"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

func FuzzJWKS(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
		`{"keys":[{"kty":"oct","k":"AA"}]}`,
		`{"keys":[{"kty":"RSA","x5c":["MA=="]}]}`,
		`{"keys":[[],{},null,1]}`,
		`{"keys":{}}`,
		`[]`,
		``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text, time.Time{})
		if err != nil {
			return
		}
		if len(keys.keys) == 0 || len(keys.keys) > maxKeys {
			t.Fatalf("%d keys", len(keys.keys))
		}
		for _, k := range keys.keys {
			// Each key is bound to algorithms that it can verify.
			possible := algorithmsOf(k.public)
			if len(k.algorithms) == 0 || slices.ContainsFunc(k.algorithms, func(a trat.Algorithm) bool { return !slices.Contains(possible, a) }) {
				t.Errorf("a %T for %v", k.public, k.algorithms)
			}
		}
	})
}
