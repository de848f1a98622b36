package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultReloadInterval is how often a Source looks at its file.
const DefaultReloadInterval = 5 * time.Second

// Source is the policy of a file that may change while the program runs. A bad file
// changes nothing: the last good policy stays in force and Problem says why. Safe for
// concurrent use.
type Source struct {
	path     string
	load     func([]byte) (*Policy, error)
	interval time.Duration
	onReload func(version string, err error)

	policy  atomic.Pointer[Policy]
	problem atomic.Pointer[error]

	mu     sync.Mutex // one look at the file at a time
	seen   [sha256.Size]byte
	judged [sha256.Size]byte // the content that policy and problem are about
}

// SourceOption changes how a Source works.
type SourceOption func(*Source)

// WithInterval sets how often Run looks at the file: DefaultReloadInterval if d is not
// above zero.
func WithInterval(d time.Duration) SourceOption {
	return func(s *Source) {
		if d > 0 {
			s.interval = d
		}
	}
}

// OnReload sets a function that is called, one call at a time, when a new policy is in
// force, when a problem appears or changes, and when the last one is over. The version
// is that of the policy in force. The function must not call Reload.
func OnReload(f func(version string, err error)) SourceOption {
	return func(s *Source) { s.onReload = f }
}

// NewSource reads the policy file at path. load compiles it: Parse, or ParseFor for a
// service. A file that is bad now is an error; there is no last good one yet.
func NewSource(path string, load func([]byte) (*Policy, error), options ...SourceOption) (*Source, error) {
	s := &Source{
		path:     path,
		load:     load,
		interval: DefaultReloadInterval,
		onReload: func(string, error) {},
	}
	for _, option := range options {
		option(s)
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p, err := load(text)
	if err != nil {
		return nil, err
	}
	s.policy.Store(p)
	s.seen = sha256.Sum256(text)
	s.judged = s.seen
	return s, nil
}

// Policy returns the policy in force: never nil.
func (s *Source) Policy() *Policy { return s.policy.Load() }

// Problem returns what is wrong with the file as it is now; nil if its policy is in
// force.
func (s *Source) Problem() error {
	if err := s.problem.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the file again and again until ctx ends. A new content is taken up when
// two looks in a row have found it, so that a file that is still being written is not
// taken for a shorter one.
func (s *Source) Run(ctx context.Context) {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.look(true) // Problem and OnReload tell
		}
	}
}

// Reload looks at the file now and takes it up at once. Its error is that of Problem.
func (s *Source) Reload() error { return s.look(false) }

func (s *Source) look(settled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := readFile(s.path)
	if err != nil {
		s.seen, s.judged = [sha256.Size]byte{}, [sha256.Size]byte{}
		return s.report(err)
	}
	sum := sha256.Sum256(text)
	again := sum == s.seen
	s.seen = sum
	if sum == s.judged || settled && !again {
		return s.Problem()
	}
	s.judged = sum
	p, err := s.load(text)
	if err != nil {
		return s.report(err)
	}
	changed := p.Version() != s.Policy().Version()
	s.policy.Store(p)
	if s.problem.Swap(nil) != nil || changed {
		s.onReload(p.Version(), nil)
	}
	return nil
}

// report records err, and tells it unless it has been told.
func (s *Source) report(err error) error {
	if before := s.problem.Swap(&err); before == nil || (*before).Error() != err.Error() {
		s.onReload(s.Policy().Version(), err)
	}
	return err
}

// ReadFile reads the policy file at path once. load compiles it, as for NewSource.
func ReadFile(path string, load func([]byte) (*Policy, error)) (*Policy, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return load(text)
}

// readFile reads a regular file, behind a symbolic link or not, that is not larger than a
// policy may be.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if !info.Mode().IsRegular() { // reading a pipe might never end
		return nil, fmt.Errorf("policy: %s is not a regular file", path)
	}
	file, err := os.Open(path) //nolint:gosec // the file that the program's user names
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return text, nil
}
