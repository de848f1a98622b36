package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// WatchKeys implements trat.v1.TokenService: the full key set at once, on every change
// and every KeysInterval, to any member of the trust domain. It ends without an error
// when the Server is closed, with trat.ReasonPeerSVIDExpired when the caller's SVID ends
// (the caller reconnects with its next one), and otherwise with the call.
//
// Each call costs a goroutine and a timer, so that Config.MaxWatchers bounds them; what is
// beyond is refused with trat.ReasonRateLimited. One workload, all its replicas together,
// may have at most as many as are still free: otherwise a rogue one could keep the keys
// from everybody else, who would refuse every token ten minutes later.
func (s *Server) WatchKeys(_ *tratv1.WatchKeysRequest, stream grpc.ServerStreamingServer[tratv1.WatchKeysResponse]) error {
	ctx := stream.Context()
	peer, err := s.member(ctx, s.clock(), trat.ReasonPeerDenied)
	if err != nil {
		return peerError(err)
	}
	watcher := peer.ID.String()
	if !s.watchers.Take(watcher) {
		return peerError(trat.Errorf(trat.ReasonRateLimited, "", ""))
	}
	defer s.watchers.Leave(watcher)
	ticker := time.NewTicker(KeysInterval)
	defer ticker.Stop()
	for {
		changed := s.keys.Changed() // before the snapshot: no change falls in between
		jwks, version := s.keys.Snapshot()
		err := stream.Send(&tratv1.WatchKeysResponse{
			Issuer:  s.issuer,
			Version: version,
			Jwks:    string(jwks),
			MaxAge:  durationpb.New(KeysMaxAge),
		})
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-s.closed:
			return nil
		case <-ctx.Done():
			return peerError(ctx.Err())
		}
		// Before each message: a stream outlives certificates.
		if _, err := s.member(ctx, s.clock(), trat.ReasonPeerDenied); err != nil {
			return peerError(err)
		}
	}
}
