package callchain

const signatureSize = 64

// signedLink is a link with what proves it. It is immutable; copies share everything.
type signedLink struct {
	*link
	// leaf is the signer's certificate in DER.
	leaf []byte
	// path leads from the link to the root of the group that it was signed in.
	path treePath
	// signature is r||s over rootStatement.
	signature [signatureSize]byte
}

// root is the root of the group that the link was signed in.
func (s *signedLink) root() [32]byte { return s.path.root(leafNode(s.hash)) }
