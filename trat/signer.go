package trat

import (
	"crypto"
	"errors"
)

var (
	errTokenSize   = Errorf(ReasonTokenTooLarge, "", "longer than %d bytes", MaxSize)
	errTokenReused = &Error{Reason: ReasonInternal, Err: errors.New("unsigned token is nil, not from Prepare or already signed")}
)

// Signer signs TraTs with one key. It is safe for concurrent use if its
// crypto.Signer is, as those of the standard library are.
type Signer struct {
	signer crypto.Signer
	key    *Key
	header string // encoded, with the dot after it
}

// NewSigner returns a Signer. The key may live anywhere, such as in a KMS: it needs
// to implement crypto.Signer with the conventions of the standard library. Its public
// half is held to the rules of NewKey, with the same errors.
func NewSigner(key crypto.Signer, alg Algorithm) (*Signer, error) {
	if key == nil {
		return nil, &Error{Reason: ReasonParameterInvalid, Field: "key", Err: errAbsent}
	}
	public, err := NewKey(alg, key.Public())
	if err != nil {
		return nil, err
	}
	// alg and kid need no escaping: one is a constant, the other base64url.
	header := `{"typ":"` + Type + `","alg":"` + string(alg) + `","kid":"` + public.id + `"}`
	return &Signer{signer: key, key: public, header: encoding.EncodeToString([]byte(header)) + "."}, nil
}

// Key returns the key that verifies what the Signer signs.
func (s *Signer) Key() *Key { return s.key }

// Sign returns the compact form of a prepared token. Each Unsigned can be signed
// once, by one Signer, even if signing fails. Errors are an *Error:
// ReasonTokenTooLarge beyond MaxSize, ReasonInternal otherwise.
func (s *Signer) Sign(u *Unsigned) (string, error) {
	if u == nil || len(u.payload) == 0 || !u.used.CompareAndSwap(false, true) {
		return "", errTokenReused
	}
	// Room for a signature of the usual size; an RSA one makes the buffer grow.
	token := make([]byte, 0, len(s.header)+encoding.EncodedLen(len(u.payload))+1+encoding.EncodedLen(ecdsaSize))
	token = append(token, s.header...)
	token = encoding.AppendEncode(token, u.payload)
	sig, err := sign(s.signer, s.key.alg, token)
	if err != nil {
		return "", &Error{Reason: ReasonInternal, Field: "signature", Err: err}
	}
	token = append(token, '.')
	token = encoding.AppendEncode(token, sig)
	if len(token) > MaxSize {
		return "", errTokenSize
	}
	return string(token), nil
}
