package outbound_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

func TestCheckURL(t *testing.T) {
	none, query, loopback := outbound.URLRules{}, outbound.URLRules{Query: true}, outbound.URLRules{LoopbackHTTP: true}
	for _, test := range []struct {
		text  string
		rules outbound.URLRules
		want  string // in the error; empty: there is none
	}{
		{"https://a.test", none, ""},
		{"https://a.test:8443/b", none, ""},
		{"https://a.test/b?c=d", query, ""},
		{"https://a.test/b?c=d", none, "has a query"},
		{"https://a.test/b?", none, "has a query"},
		{"https://a.test/b#c", query, "has a fragment"},
		{"https://a.test/b#", query, "has a fragment"},
		{"https://a.test/" + strings.Repeat("b", 2048), none, "longer than"},
		{"", none, "has no host"},
		{"://" + secret, none, "not a URL"},
		{"https://a.test/%zz" + secret, none, "not a URL"},
		{"a.test/b", none, "has no host"},
		{"https:a.test", none, "has no host"},
		{"https://:443", none, "has no host"},
		{"https://u:" + secret + "@a.test", query, "has a user"},
		{"https://u@a.test", query, "has a user"},
		{"http://a.test", loopback, "is not https"},
		{"http://127.0.0.1.a.test", loopback, "is not https"},
		{"http://localhost.a.test", loopback, "is not https"},
		{"http://10.0.0.1", loopback, "is not https"},
		{"ftp://127.0.0.1", loopback, "is not https"},
		{"file://localhost/etc", loopback, "is not https"},
		{"http://127.0.0.1", none, "plain http on this host"},
		{"http://127.0.0.1", loopback, ""},
		{"http://[::1]:80/", loopback, ""},
		{"http://localhost:80", loopback, ""},
	} {
		err := outbound.CheckURL(test.text, test.rules)
		switch {
		case (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("CheckURL(%.40q, %+v) = %v, want %q", test.text, test.rules, err, test.want)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("the URL is in the error: %v", err)
		case errors.Is(err, outbound.ErrLoopbackHTTP) != (test.want == "plain http on this host"):
			t.Errorf("CheckURL(%.40q, %+v) = %v", test.text, test.rules, err)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://a.test/b?c#d", "http://localhost", "https://u:p@a.test", "//a", "https:///a", "http://[::1%25lo]/"} {
		f.Add(seed, true, true)
	}
	f.Fuzz(func(t *testing.T, text string, query, loopback bool) {
		if outbound.CheckURL(text, outbound.URLRules{Query: query, LoopbackHTTP: loopback}) != nil {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || !query && u.RawQuery != "" ||
			u.Scheme != "https" && (!loopback || u.Scheme != "http") {
			t.Errorf("%q is accepted", text)
		}
	})
}
