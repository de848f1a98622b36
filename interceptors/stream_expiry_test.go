package interceptors

import (
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers STR-03.
func TestStreamEndsAtWhicheverEndIsFirst(t *testing.T) {
	d := trattest.New(t, "shop.test")
	const leeway = 5 * time.Second
	token := d.Token(trattest.Lifetime(2 * time.Minute))
	opened, exp := d.Now(), token.Expiry()
	for name, test := range map[string]struct {
		rule  rules.Stream
		token *trat.Token
		want  time.Time
	}{
		"nothing is said":                   {rules.Stream{}, token, exp.Add(leeway)},
		"open only":                         {rules.Stream{Expiry: rules.ExpiryOpenOnly}, token, time.Time{}},
		"open only, to an age":              {rules.Stream{Expiry: rules.ExpiryOpenOnly, MaxAge: time.Hour}, token, opened.Add(time.Hour)},
		"close at exp":                      {rules.Stream{Expiry: rules.ExpiryCloseAtExp}, token, exp.Add(leeway)},
		"close at exp, or a greater age":    {rules.Stream{Expiry: rules.ExpiryCloseAtExp, MaxAge: time.Hour}, token, exp.Add(leeway)},
		"close at exp, or a lesser age":     {rules.Stream{Expiry: rules.ExpiryCloseAtExp, MaxAge: time.Second}, token, opened.Add(time.Second)},
		"grace":                             {rules.Stream{Expiry: rules.ExpiryGrace, Grace: time.Minute}, token, exp.Add(leeway + time.Minute)},
		"grace, or a lesser age":            {rules.Stream{Expiry: rules.ExpiryGrace, Grace: time.Minute, MaxAge: 3 * time.Minute}, token, opened.Add(3 * time.Minute)},
		"close at exp, without a token":     {rules.Stream{Expiry: rules.ExpiryCloseAtExp}, nil, time.Time{}},
		"close at age, without a token":     {rules.Stream{Expiry: rules.ExpiryCloseAtExp, MaxAge: time.Hour}, nil, opened.Add(time.Hour)},
		"drain does not move it":            {rules.Stream{Expiry: rules.ExpiryCloseAtExp, Drain: time.Minute}, token, exp.Add(leeway)},
		"a token that is within its leeway": {rules.Stream{Expiry: rules.ExpiryCloseAtExp}, d.Token(trattest.Age(time.Minute), trattest.Lifetime(time.Minute)), opened.Add(leeway)},
	} {
		e := expiry{Stream: test.rule, leeway: leeway}
		got := e.end(opened, test.token)
		if !got.Equal(test.want) {
			t.Errorf("%s: ends at %v, want %v", name, got, test.want)
		}
	}
}
