package devauthority

import (
	"context"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// securityHeader keeps a call that some proxy or browser was tricked into from passing as
// a workload's (SPIFFE Workload Endpoint section 6).
const securityHeader = "workload.spiffe.io"

// workloadAPI answers for one identity. The profiles it does not have are
// UNIMPLEMENTED by embedding.
type workloadAPI struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	authority *Authority
	id        spiffeid.ID
}

// FetchX509SVID implements the Workload API.
func (w *workloadAPI) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	return serve(w.authority, stream, w.x509SVIDs, &workload.X509SVIDResponse{Svids: []*workload.X509SVID{{SpiffeId: "garbage"}}})
}

// FetchX509Bundles implements the Workload API.
func (w *workloadAPI) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	return serve(w.authority, stream, w.x509Bundles, &workload.X509BundlesResponse{Bundles: map[string][]byte{"garbage": nil}})
}

// serve sends what get returns, again at each change of it, until the stream ends. It
// looks again after the time that get returns, and when anything at the authority changes.
func serve[R any, M interface {
	*R
	proto.Message
}](a *Authority, stream grpc.ServerStreamingServer[R], get func() (M, time.Duration, error), garbage M) error {
	var sent M
	for {
		state := a.observe()
		var lookAgain <-chan time.Time
		stop := func() bool { return true }
		switch state.conduct {
		case NoIdentity:
			return status.Error(codes.PermissionDenied, "no identity issued")
		case Cancel:
			return status.Error(codes.Canceled, "shutting down")
		case Garbage:
			if err := stream.Send(garbage); err != nil {
				return err
			}
		case Silence:
		case Answer, NoBundle:
			answer, fresh, err := get()
			if err != nil {
				return status.Error(codes.Unavailable, err.Error())
			}
			if !proto.Equal(answer, sent) {
				if err := stream.Send(answer); err != nil {
					return err
				}
				sent = answer
			}
			if fresh > 0 {
				lookAgain, stop = a.timer(fresh)
			}
		}
		select {
		case <-state.changed:
		case <-lookAgain:
		case <-state.dropped:
			stop()
			return status.Error(codes.Unavailable, "stream dropped")
		case <-stream.Context().Done():
			stop()
			return status.FromContextError(stream.Context().Err()).Err()
		}
		stop()
	}
}

// observed is what a call waits for.
type observed struct {
	conduct          Conduct
	changed, dropped <-chan struct{}
}

func (a *Authority) observe() observed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return observed{conduct: a.conduct, changed: a.changed, dropped: a.dropped}
}

// x509SVIDs returns the present answer to FetchX509SVID, and for how long it will do.
func (w *workloadAPI) x509SVIDs() (*workload.X509SVIDResponse, time.Duration, error) {
	a := w.authority
	a.mu.Lock()
	defer a.mu.Unlock()
	svid, err := a.current(w.id)
	if err != nil {
		return nil, 0, err
	}
	certs, key, err := svid.MarshalRaw()
	if err != nil {
		return nil, 0, fmt.Errorf("devauthority: %w", err)
	}
	var bundle []byte
	if a.conduct != NoBundle {
		bundle = concat(a.bundle)
	}
	answer := &workload.X509SVIDResponse{
		Svids: []*workload.X509SVID{{
			SpiffeId:    svid.ID.String(),
			X509Svid:    certs,
			X509SvidKey: key,
			Bundle:      bundle,
		}},
		FederatedBundles: make(map[string][]byte, len(a.federated)),
	}
	for td, b := range a.federated {
		answer.FederatedBundles[td.IDString()] = concat(b)
	}
	return answer, a.identities[w.id].rotateAt.Sub(a.now()), nil
}

// x509Bundles returns the present answer to FetchX509Bundles; time alone does not change
// it.
func (w *workloadAPI) x509Bundles() (*workload.X509BundlesResponse, time.Duration, error) {
	a := w.authority
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := &workload.X509BundlesResponse{Bundles: map[string][]byte{a.trustDomain.IDString(): concat(a.bundle)}}
	for td, b := range a.federated {
		answer.Bundles[td.IDString()] = concat(b)
	}
	return answer, 0, nil
}

func concat(b *x509bundle.Bundle) []byte {
	var der []byte
	for _, cert := range b.X509Authorities() {
		der = append(der, cert.Raw...)
	}
	return der
}

// checkHeader refuses a call without the security header.
func checkHeader(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(securityHeader); len(v) != 1 || v[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return nil
}

func checkHeaderUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := checkHeader(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func checkHeaderStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := checkHeader(stream.Context()); err != nil {
		return err
	}
	return handler(srv, stream)
}
