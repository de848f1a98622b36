package callchain

import "github.com/grpc-trat/grpc-trat/trat"

// rootSignature is a signature of the root of a group that was verified. Signature bytes are
// part of it: if any bytes went with a root that is known, a peer could have a link accepted
// that nobody can verify later.
type rootSignature struct {
	leafHash  [32]byte
	signature [signatureSize]byte
}

// verifySignature reports whether the leaf of s has signed the root of its group. A root
// that it has verifiably signed is remembered, unless nobody would ask again: a last link
// that was signed alone comes once, and a replay of it is to be no cheaper.
func (t *trust) verifySignature(s *signedLink, last bool) bool {
	root := s.root()
	signed := rootSignature{leafHash: s.leafHash, signature: s.signature}
	shared := !last || s.path.levels() > 0
	if shared {
		if known, ok := t.roots.get(root); ok && known == signed {
			return true
		}
	}
	input := rootStatement(s.leafHash, root)
	if !trat.VerifySignature(trat.ES256, s.link.leaf.PublicKey, string(input), s.signature[:]) {
		return false
	}
	if shared {
		t.roots.put(root, signed, s.issuedAt.UnixMilli())
	}
	return true
}
