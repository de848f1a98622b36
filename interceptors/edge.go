package interceptors

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// Edge is for the listener of a gateway that outside callers reach, where no guard
// can stand: outsiders have no TraT, they cause one to be issued. It drops txn-token
// and txn-chain metadata that they send, so that no handler takes it for anything,
// and it does not relay a refusal inside the trust domain as a refusal of the outside
// caller (see Rule.RelayDownstream and Relay). It authenticates nobody. Safe for
// concurrent use.
type Edge struct {
	settings
	propagations metric.Int64Counter
	stripped     []metric.AddOption
}

// NewEdge makes an Edge. All problems of the options are reported at once.
func NewEdge(opts ...EdgeOption) (*Edge, error) {
	e := &Edge{settings: defaultSettings()}
	var problems []error
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errors.New("nil option"))
			continue
		}
		problems = append(problems, opt.applyEdge(e))
	}
	var err error
	e.propagations, err = semconv.ClientPropagations.Int64Counter(e.meter())
	set := attribute.NewSet(semconv.TokenOutcome.String(semconv.OutcomeStripped))
	e.stripped = []metric.AddOption{metric.WithAttributeSet(set)}
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("interceptors: new edge: %w", err)
	}
	return e, nil
}

// ServerOptions returns what grpc.NewServer needs for the edge: both interceptors and
// the header list limit.
func (e *Edge) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(e.Unary),
		grpc.ChainStreamInterceptor(e.Stream),
		grpc.MaxHeaderListSize(e.maxHeaderList),
	}
}

// Unary is the grpc.UnaryServerInterceptor.
func (e *Edge) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx = e.strip(ctx)
	resp, err := handler(ctx, req)
	if err != nil {
		err = e.notRelayed(ctx, info.FullMethod, err)
	}
	return resp, err
}

// Stream is the grpc.StreamServerInterceptor.
func (e *Edge) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := e.strip(stream.Context())
	err := handler(srv, guardedStream{ServerStream: stream, ctx: ctx})
	if err != nil {
		err = e.notRelayed(ctx, info.FullMethod, err)
	}
	return err
}

func (e *Edge) strip(ctx context.Context) context.Context {
	if md, ok := metadata.FromIncomingContext(ctx); ok && hasReserved(md) {
		e.propagations.Add(ctx, 1, e.stripped...)
	}
	return insideContext{ctx}
}
