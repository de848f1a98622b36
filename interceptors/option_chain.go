package interceptors

import (
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// WithReplayLimit sets how many accepted links the guard remembers until they expire,
// each of about 50 bytes; the default is 262,144. One peer never gets all of the room.
// With SingleReplica it bounds the remembered requests too, which stay for as long as their
// transaction can last: up to six minutes.
func WithReplayLimit(n int) ServerOption {
	return serverOption(func(s *Server) error {
		if n < 1 {
			return fmt.Errorf("WithReplayLimit: %d is below 1", n)
		}
		s.replays.limit = n
		return nil
	})
}

// WithReplayOverflow sets what becomes of a call whose link there is no room to
// remember; the default is ReplayOverflowAllow. A method with Once always refuses, for want
// of room for the link as well as for the request.
func WithReplayOverflow(o ReplayOverflow) ServerOption {
	return serverOption(func(s *Server) error {
		if o != ReplayOverflowAllow && o != ReplayOverflowDeny {
			return fmt.Errorf("WithReplayOverflow: %d is neither ReplayOverflowAllow nor ReplayOverflowDeny", o)
		}
		s.replays.overflow = o
		return nil
	})
}

// WithOnceStore sets where rules with Once remember what they accepted: one store that
// all replicas of this service share, and that survives their restarts. When it fails,
// calls of such methods are refused with DEPENDENCY_UNAVAILABLE.
func WithOnceStore(store replay.Store) ServerOption {
	return serverOption(func(s *Server) error {
		if store == nil {
			return errors.New("WithOnceStore: nil store")
		}
		s.replays.shared = store
		return nil
	})
}

// SingleReplica says that there is only this one process of the service, so that rules
// with Once may remember in its memory. It forgets when it restarts: what was accepted
// before could then be accepted again until the transaction ends.
func SingleReplica() ServerOption {
	return serverOption(func(s *Server) error {
		s.replays.singleReplica = true
		return nil
	})
}

// WithChainLog records every call whose chain was judged, accepted or not, for an
// offline audit. The records that a log with a method Lost() uint64, such as that of package
// chainlog, says it has lost are a metric of the guard.
func WithChainLog(log callchain.Recorder) ServerOption {
	return serverOption(func(s *Server) error {
		if log == nil {
			return errors.New("WithChainLog: nil log")
		}
		s.chainLog = log
		return nil
	})
}

// WithLinkSigner sets what signs links. The default is a callchain.Signer over
// ClientConfig.SVIDs. A process with several carriers for one workload should give them
// one Signer, which then signs the links of all together when it is busy.
func WithLinkSigner(signer callchain.LinkSigner) ClientOption {
	return clientOption(func(c *Client) error {
		if signer == nil {
			return errors.New("WithLinkSigner: nil signer")
		}
		c.signer = signer
		return nil
	})
}

// WithChainMode sets how much of the call chain goes out with calls of a method,
// "/pkg.Service/Method", or of all methods of a service, "/pkg.Service/*"; the exact one
// wins. The default is callchain.ModePath. It must be at least what the called method
// requires: with ModeHead a method that requires ModePath refuses the call, with ModeOff,
// which sends no link, one that requires either.
func WithChainMode(key string, mode callchain.Mode) ClientOption {
	return clientOption(func(c *Client) error {
		service, method, err := splitKey(key)
		if err != nil {
			return fmt.Errorf("WithChainMode: %w", err)
		}
		switch mode {
		case callchain.ModePath, callchain.ModeHead, callchain.ModeOff:
		default:
			return fmt.Errorf("WithChainMode: %q: no mode", key)
		}
		if method == wildcard {
			c.modes["/"+service+"/"] = mode
		} else {
			c.modes[key] = mode
		}
		return nil
	})
}
