package callchain

// SentMode is how much of the chain is in encoded, which Signed.Encode has returned:
// ModePath, all links, or ModeHead, the last one alone. A root is all links of its chain. For
// what is no chain of a call it is zero.
func SentMode(encoded string) Mode {
	const front = 4 // characters, of three bytes
	if len(encoded) < front {
		return 0
	}
	var b [3]byte
	if _, err := encoding.Decode(b[:], []byte(encoded[:front])); err != nil {
		return 0
	}
	switch b[0] {
	case formPath:
		return ModePath
	case formHead:
		return ModeHead
	}
	return 0
}
