package main

import (
	"strings"
	"testing"
	"time"
)

func TestAnOrderStartsAnewOnlyWithATokenOfItsOwn(t *testing.T) {
	began := time.UnixMilli(0)
	const forged, stolen = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
	if err := startedAnew(shopSpans(), began, forged, stolen); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		began          time.Time
		forged, stolen string
		want           string
	}{
		"an earlier order only": {time.UnixMilli(1), forged, stolen, "no span of the order"},
		"the forged token":      {began, ok[5], stolen, "the forged token reached payments"},
		"the stolen token":      {began, forged, ok[5], "the token that the forged one was made from"},
	} {
		err := startedAnew(shopSpans(), test.began, test.forged, test.stolen)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
	spans := shopSpans()
	spans[0].attrs["txn_token.hash"] = forged // at one service only
	if err := startedAnew(spans, began, forged, stolen); err == nil || !strings.Contains(err.Error(), "reached payments") {
		t.Errorf("the forged token at one service: error %v", err)
	}
}

func TestTokenHashIsThatOfSpans(t *testing.T) {
	// SHA-256 of "abc", FIPS 180-2 appendix B.1.
	if got := tokenHash("abc"); got != "ba7816bf8f01cfea" {
		t.Errorf("hash %s", got)
	}
}
