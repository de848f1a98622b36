package httptoken

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

// FuzzParseForm holds the parser against net/url's: what it accepts, the other reads in the
// same way, with one value for each name.
//
// Covers TTS-12.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{
		"", "&", "=", "a", "a=1", "a=1&a=2", "a=1&%61=2", "a=%4", "a=%ff", "a=1;b=2", "scope=a+b&audience=shop.test",
		"a=b=c", "+=+", "%00=%00", "subject_token=eyJ.e30.x&subject_token_type=urn%3Aietf", "é=1", "a=\n", "client_secret=x",
	} {
		f.Add(seed)
	}
	fields := (*tratv1.ExchangeRequest)(nil).ProtoReflect().Descriptor().Fields()
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm(body)
		if err != nil {
			var bad *formError
			if got != nil || !asFormError(err, &bad) || bad.err.Reason == "" {
				t.Fatalf("form %v with error %v", got, err)
			}
			if !isKnown(bad.err.Field) && bad.err.Field != "" {
				t.Fatalf("the error repeats the caller's text %q", bad.err.Field)
			}
			return
		}
		if len(got) > maxFormParameters || strings.Contains(body, ";") {
			t.Fatalf("accepted %q", body)
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("net/url does not accept %q: %v", body, err)
		}
		if len(want) != len(got) {
			t.Fatalf("%q: got %v, net/url has %v", body, got, want)
		}
		for name, value := range got {
			if v := want[name]; len(v) != 1 || v[0] != value || !utf8.ValidString(name+value) {
				t.Fatalf("%q: %q is %q, net/url has %q", body, name, value, v)
			}
		}
		message := got.request().ProtoReflect()
		for i := range fields.Len() {
			field := fields.Get(i)
			if sent := message.Get(field).String(); sent != got[string(field.Name())] {
				t.Fatalf("%q: %s is %q", body, field.Name(), sent)
			}
		}
		_ = got.check()
	})
}

func asFormError(err error, target **formError) bool {
	bad, ok := err.(*formError) //nolint:errorlint // not wrapped, and not to be
	*target = bad
	return ok
}
