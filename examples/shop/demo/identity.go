package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// takeOver returns the SVIDs of one workload as an attacker has them who has taken it
// over. The demo takes over several, and an agent gives all of them to it at once: hence
// a source that picks one by its ID. A workload has one ID and takes what it is given
// (spiffecreds.NewSource).
func (s *shop) takeOver(ctx context.Context, id spiffeid.ID) (*workloadapi.X509Source, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx,
		workloadapi.WithClientOptions(workloadapi.WithAddr(s.sockets[id])),
		workloadapi.WithDefaultX509SVIDPicker(func(svids []*x509svid.SVID) *x509svid.SVID {
			if i := slices.IndexFunc(svids, func(svid *x509svid.SVID) bool { return svid.ID == id }); i >= 0 {
				return svids[i]
			}
			return nil // GetX509SVID fails
		}))
	if err != nil {
		return nil, fmt.Errorf("no SVID for the demo to be %s, from %s: %w", id, s.sockets[id], err)
	}
	if _, err := source.GetX509SVID(); err != nil {
		err = fmt.Errorf("the Workload API at %s does not let the demo be %s: %w", s.sockets[id], id, err)
		return nil, errors.Join(err, source.Close())
	}
	return source, nil
}
