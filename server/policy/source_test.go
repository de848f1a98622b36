package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// granting is a policy that grants one scope.
func granting(scope string) string {
	return fmt.Sprintf(`version: 1
rules:
  - {name: %s, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], grants: [%[1]s]}
`, scope)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watched is a source that runs in a bubble of package synctest.
type watched struct {
	*policy.Source
	mu     sync.Mutex
	events []string // "" is good, otherwise the problem
}

func watch(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{}
	source, err := policy.NewSource(path, policy.Parse, policy.WithInterval(time.Hour), policy.OnReload(func(version string, err error) {
		if version != w.Policy().Version() {
			t.Error("told of a policy that is not in force")
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, text)
	}))
	if err != nil {
		t.Fatal(err)
	}
	w.Source = source
	go source.Run(t.Context())
	synctest.Wait()
	return w
}

// look lets the file be looked at n times.
func (w *watched) look(n int) {
	time.Sleep(time.Duration(n) * time.Hour) // of the bubble's clock
	synctest.Wait()
}

// told are the events since it was last called.
func (w *watched) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

func (w *watched) rule(t *testing.T) string {
	t.Helper()
	e := w.Policy().Explain(policy.Request{Requester: gateway, SubjectTokenType: "urn:t:1", Scope: scope(t, "x")})
	return e.Rules[0].Name
}

func TestASourceTakesUpAFileThatHasSettled(t *testing.T) {
	synctest.Test(t, aSourceTakesUpAFileThatHasSettled)
}

func aSourceTakesUpAFileThatHasSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, granting("one"))
	w := watch(t, path)
	w.look(3)
	if w.rule(t) != "one" || w.told() != nil {
		t.Fatal("something happened to a file that did not change")
	}
	write(t, path, granting("two"))
	w.look(1)
	if w.rule(t) != "one" {
		t.Error("a file was taken up that may still be being written")
	}
	w.look(1)
	if w.rule(t) != "two" || w.Problem() != nil {
		t.Errorf("rule %q, problem %v", w.rule(t), w.Problem())
	}
	if diff := cmp.Diff([]string{""}, w.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestABadFileKeepsTheLastGoodPolicy(t *testing.T) {
	synctest.Test(t, aBadFileKeepsTheLastGoodPolicy)
}

func aBadFileKeepsTheLastGoodPolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, granting("one"))
	w := watch(t, path)
	for _, bad := range []struct {
		text, says string
	}{
		{granting("one") + "  - {}\n", "name: is missing"},
		{"", "the file is empty"},
		{granting("one") + "#" + strings.Repeat(" ", policy.MaxFileSize), "larger than"},
	} {
		write(t, path, bad.text)
		w.look(3)
		events := w.told()
		if w.rule(t) != "one" || w.Problem() == nil || !strings.Contains(w.Problem().Error(), bad.says) {
			t.Errorf("rule %q, problem %v, want %q", w.rule(t), w.Problem(), bad.says)
		}
		if len(events) != 1 || !strings.Contains(events[0], bad.says) {
			t.Errorf("told %q, want %q, once", events, bad.says)
		}
	}
	write(t, path, granting("one"))
	w.look(2)
	if events := w.told(); w.Problem() != nil || len(events) != 1 || events[0] != "" {
		t.Errorf("the file is good again: problem %v, told %q", w.Problem(), events)
	}
}

func TestAFileThatIsGoneIsAProblemUntilItIsBack(t *testing.T) {
	synctest.Test(t, aFileThatIsGoneIsAProblemUntilItIsBack)
}

func aFileThatIsGoneIsAProblemUntilItIsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, granting("one"))
	w := watch(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.look(2)
	if w.rule(t) != "one" || !errors.Is(w.Problem(), os.ErrNotExist) || len(w.told()) != 1 {
		t.Errorf("rule %q, problem %v", w.rule(t), w.Problem())
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	w.look(2)
	if w.Problem() == nil || !strings.Contains(w.Problem().Error(), "not a regular file") {
		t.Errorf("problem %v", w.Problem())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, granting("two"))
	w.look(2)
	if w.rule(t) != "two" || w.Problem() != nil {
		t.Errorf("rule %q, problem %v", w.rule(t), w.Problem())
	}
}

// A Kubernetes ConfigMap is a link to a directory that a link points to, and is changed by
// renaming that link.
func TestASourceFollowsTheLinksOfAConfigMap(t *testing.T) {
	synctest.Test(t, aSourceFollowsTheLinksOfAConfigMap)
}

func aSourceFollowsTheLinksOfAConfigMap(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, text string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "policy.yaml"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..2026_01", granting("one"))
	path := filepath.Join(dir, "policy.yaml")
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path)
	publish("..2026_02", granting("two"))
	if err := os.RemoveAll(filepath.Join(dir, "..2026_01")); err != nil {
		t.Fatal(err)
	}
	w.look(2)
	if w.rule(t) != "two" || w.Problem() != nil {
		t.Errorf("rule %q, problem %v", w.rule(t), w.Problem())
	}
}

func TestReloadDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, granting("one"))
	source, err := policy.NewSource(path, policy.Parse)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, granting("two"))
	before := source.Policy().Version()
	if err := source.Reload(); err != nil || source.Policy().Version() == before {
		t.Errorf("Reload = %v, version %q", err, source.Policy().Version())
	}
	write(t, path, "version: 2\n")
	for range 2 { // the second changes nothing
		if err := source.Reload(); err == nil || source.Problem() == nil {
			t.Error("a bad file is not reported")
		}
	}
}

func TestASourceBeginsWithAGoodFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if _, err := policy.NewSource(path, policy.Parse); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "version: 2\n")
	if s, err := policy.NewSource(path, policy.Parse); err == nil || s != nil {
		t.Errorf("a bad file: %v", err)
	}
	if _, err := policy.NewSource(filepath.Dir(path), policy.Parse); err == nil {
		t.Error("a directory is taken for a file")
	}
}
