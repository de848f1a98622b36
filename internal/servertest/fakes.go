package servertest

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Clock is set by hand. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that stands at now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time, back if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Verifier answers as told. By default every token is Alice's.
type Verifier struct {
	// URI is the type.
	URI string
	// Func decides, if it is not nil. It is set between calls.
	Func func(context.Context, subject.Input) (*subject.Principal, error)

	mu     sync.Mutex
	inputs []subject.Input
}

// Type implements subject.Verifier.
func (v *Verifier) Type() string { return v.URI }

// Verify implements subject.Verifier.
func (v *Verifier) Verify(ctx context.Context, in subject.Input) (*subject.Principal, error) {
	v.mu.Lock()
	v.inputs = append(v.inputs, in)
	verify := v.Func
	v.mu.Unlock()
	if verify == nil {
		return Alice(in), nil
	}
	return verify(ctx, in)
}

// Inputs returns what was to be verified so far.
func (v *Verifier) Inputs() []subject.Input {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.inputs
}

// Calls returns how often something was to be verified.
func (v *Verifier) Calls() int { return len(v.Inputs()) }

// Alice is who has a good access token, with scope orders:write, for five minutes.
func Alice(in subject.Input) *subject.Principal {
	return &subject.Principal{
		Issuer:     "https://login.test",
		Subject:    "login:alice@example.test",
		Scopes:     []string{"orders:write"},
		ScopeKnown: true,
		Expiry:     in.Now.Add(5 * time.Minute),
		Claims:     aliceClaims,
	}
}

var aliceClaims = func() trat.Object {
	o, err := trat.ParseObject(`{"sub": "alice", "email": "alice@example.test", "scope": "orders:write"}`)
	if err != nil {
		panic(err)
	}
	return o
}()

// Records is a server.Auditor that remembers. Safe for concurrent use.
type Records struct {
	// Fail, if it is not nil, is the outcome of Record. It is set between calls.
	Fail func() error

	mu   sync.Mutex
	list []server.Record
}

// Record implements server.Auditor.
func (r *Records) Record(_ context.Context, record server.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, record)
	if r.Fail != nil {
		return r.Fail()
	}
	return nil
}

// Take returns the records since the last call.
func (r *Records) Take() []server.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// Buffer is a log sink. Safe for concurrent use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// PDP is a policy decision point that says what it was told to, by default yes, and
// remembers what it was asked. Both are looked at between calls.
type PDP struct {
	Answer func(ctx context.Context) (bool, error)
	Asked  []authzen.Request

	mu sync.Mutex
}

// Evaluate implements server.Evaluator.
func (p *PDP) Evaluate(ctx context.Context, r authzen.Request) (bool, error) {
	p.mu.Lock()
	p.Asked = append(p.Asked, r)
	answer := p.Answer
	p.mu.Unlock()
	if answer == nil {
		return true, nil
	}
	return answer(ctx)
}
