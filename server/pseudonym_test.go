package server

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// Covers PRIV-03.
func TestPseudonymsRotate(t *testing.T) {
	key := bytes.Repeat([]byte{7}, pseudonymKeySize)
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	const alice = "login:alice@example.test"
	of := func(p *pseudonymizer, now time.Time) [2]string {
		period := p.at(now)
		return [2]string{period.ofSubject(alice), period.name}
	}
	a, replica := newPseudonymizer(key, 24*time.Hour), newPseudonymizer(key, 24*time.Hour)
	today := of(a, midnight)
	for _, same := range [][2]string{of(a, midnight.Add(24*time.Hour-1)), of(replica, midnight.Add(time.Hour))} {
		if same != today {
			t.Errorf("%q within the period of %q", same, today)
		}
	}
	if len(today[0]) != 22 || strings.Contains(today[0]+today[1], "alice") || !strings.HasSuffix(today[1], ".20261122T000000Z") {
		t.Errorf("pseudonym %q", today)
	}
	for name, other := range map[string][2]string{
		"the next period": of(a, midnight.Add(24*time.Hour)),
		"the one before":  of(a, midnight.Add(-1)),
		"before 1970":     of(a, time.Unix(-1, 0)),
		"another length":  of(newPseudonymizer(key, 12*time.Hour), midnight),
		"another key":     of(newPseudonymizer(bytes.Repeat([]byte{8}, pseudonymKeySize), 24*time.Hour), midnight),
		"a random key":    of(newPseudonymizer(nil, 24*time.Hour), midnight),
	} {
		if other[0] == today[0] {
			t.Errorf("%s has the same pseudonym", name)
		}
		if other[1] == today[1] && name != "another length" {
			t.Errorf("%s has the same name %q", name, other[1])
		}
	}
	if of(a, midnight) != today {
		t.Error("a clock that is put back makes other pseudonyms")
	}
	if a.at(midnight).ofSubject("") != "" || a.at(midnight).ofSubject("bob") == today[0] {
		t.Error("a pseudonym for nobody, or for everybody")
	}
}
