package subject

import (
	"strings"
	"testing"
	"testing/quick"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Covers TTS-22.
func TestDifferentSubjectsNeverMeet(t *testing.T) {
	namespaces := []string{
		"a", "a-b", "b",
		workloadNamespace(namespaceSelfSigned, spiffeid.RequireFromString("spiffe://shop.test/a")),
		workloadNamespace(namespaceSelfSigned, spiffeid.RequireFromString("spiffe://shop.test/a/b")),
		workloadNamespace(namespaceUnsigned, spiffeid.RequireFromString("spiffe://shop.test/a")),
	}
	// Each sub that could make one namespace look like another.
	subs := []string{"x", ":x", "x:", "a:x", "b:x", "/b:x", "shop.test/a:x", "self:shop.test/a:x", "%3Ax", "a%3Ax"}
	type origin struct{ namespace, sub string }
	seen := make(map[string]origin)
	check := func(namespace, sub string) bool {
		subject, err := qualify(namespace, sub)
		if err != nil {
			return true // refused: no subject at all
		}
		o := origin{namespace, sub}
		if other, ok := seen[subject]; ok && other != o {
			t.Errorf("%+v and %+v are both %q", o, other, subject)
			return false
		}
		seen[subject] = o
		return true
	}
	for _, namespace := range namespaces {
		for _, sub := range subs {
			check(namespace, sub)
		}
	}
	random := func(n, m uint8, sub string) bool {
		// Prefix the text with a namespace, to try for what must not be possible.
		return check(namespaces[int(n)%len(namespaces)], namespaces[int(m)%len(namespaces)]+":"+sub)
	}
	if err := quick.Check(random, nil); err != nil {
		t.Error(err)
	}
}

func TestASubjectFitsIntoATraT(t *testing.T) {
	long := spiffeid.RequireFromString("spiffe://shop.test/" + strings.Repeat("p", 500))
	if _, err := qualify(workloadNamespace(namespaceSelfSigned, long), "x"); err == nil {
		t.Error("a subject that no TraT can hold is accepted")
	}
	if _, err := qualify(strings.Repeat("p", 32), strings.Repeat("s", maxSub)); err != nil {
		t.Errorf("the longest sub under the longest prefix: %v", err)
	}
}

func TestAPrefixHasNoColon(t *testing.T) {
	for _, good := range []string{"a", "0", "shop-2", strings.Repeat("p", 32)} {
		if err := checkPrefix(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ":", "a:b", "A", "-a", "a b", "ä", "self", "unsigned", "a\n", strings.Repeat("p", 33)} {
		if checkPrefix(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
