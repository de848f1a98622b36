package chaintest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Forgery is a link as no callchain.Signer makes it.
type Forgery struct {
	// By is the workload whose key signs, To the one that is called.
	By, To, Method string
	Token          *trat.Token
	Depth          int
	Parent         callchain.Hash
	Trace          callchain.Trace
}

// Forge returns the chain of one link, in head mode, that By presents. It is made by what
// docs/call-chain-format.md says, without package callchain.
func (w *World) Forge(f Forgery) *callchain.Chain {
	w.tb.Helper()
	by, to := w.Workload(f.By), w.Workload(f.To)
	svid, err := by.source.GetX509SVID()
	w.check(err)
	leaf := sha256.Sum256(svid.Certificates[0].Raw)
	var id [16]byte
	_, _ = rand.Read(id[:])
	now := w.Now().UnixMilli()
	flags := byte(1 | 4)
	token := f.Token.Digest()

	s := append([]byte("txn-link/1 statement\x00"), 1, flags, byte(f.Depth)) //nolint:gosec // small
	s = binary.BigEndian.AppendUint64(s, uint64(now))
	s = append(s, 15)
	s = append(append(append(append(s, id[:]...), token[:]...), leaf[:]...), f.Parent[:]...)
	s = append(append(s, f.Trace.TraceID[:]...), f.Trace.SpanID[:]...)
	s = str16(str16(str16(s, by.ID.String()), to.ID.String()), f.Method)
	signature, err := signAlone(svid, s)
	w.check(err)

	m := []byte{0x13, 1}
	m = str16(m, string(svid.Certificates[0].Raw))
	m = append(m, 1, flags|0x20)
	var iat [8]byte
	binary.BigEndian.PutUint64(iat[:], uint64(now))
	m = append(append(m, iat[2:]...), 15)
	m = append(append(m, id[:]...), byte(f.Depth)) //nolint:gosec // small
	m = append(m, f.Parent[:]...)
	m = append(append(m, f.Trace.TraceID[:]...), f.Trace.SpanID[:]...)
	m = append(str16(str16(m, by.ID.Path()), f.Method), 0)
	m = append(m, 0, 0)
	m = append(m, signature[:]...)
	chain, err := to.verifier.VerifyEvidence(callchain.Evidence{
		Encoded: base64.RawURLEncoding.EncodeToString(m), Audience: to.ID, TokenHash: token,
		Root: f.Token.RequestingWorkload(), Anchor: f.Token.CallChainHash(), IssuedAt: f.Token.IssuedAt(), At: w.Now().Truncate(time.Millisecond),
	})
	w.check(err)
	return chain
}
