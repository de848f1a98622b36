package trattest

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// forgery is a token in its parts, before it is put together wrongly. It has an
// encoder of its own, because package trat cannot make what it must refuse.
type forgery struct {
	header  []member
	payload []member
	key     *ecdsa.PrivateKey
	now     time.Time
	domain  string
	good    string // the compact form without a flaw
}

// member is a member of a JSON object with the text of its value. Objects are lists
// of them, so that a name can occur twice.
type member struct{ name, value string }

func (d *Domain) forge(opts []TokenOption) *forgery {
	d.tb.Helper()
	c := d.claims(opts)
	key := d.signing.Load()
	f := &forgery{
		header: []member{
			{"typ", quote(trat.Type)},
			{"alg", quote(string(trat.ES256))},
			{"kid", quote(key.signer.Key().ID())},
		},
		payload: []member{
			{"iss", quote(c.Issuer)},
			{"iat", unix(c.IssuedAt)},
			{"exp", unix(c.Expiry)},
			{"aud", quote(c.Audience)},
			{"txn", quote(c.TransactionID)},
			{"sub", quote(c.Subject)},
			{"scope", quote(c.Scope.String())},
			{"req_wl", quote(c.RequestingWorkload)},
		},
		key:    key.private,
		now:    d.Now(),
		domain: d.name.Name(),
	}
	if !c.TransactionContext.IsZero() {
		f.payload = append(f.payload, member{"tctx", c.TransactionContext.JSON()})
	}
	if !c.RequestContext.IsZero() {
		f.payload = append(f.payload, member{"rctx", c.RequestContext.JSON()})
	}
	var err error
	if f.good, err = f.sign(); err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return f
}

// set replaces or adds a member.
func set(members *[]member, name, value string) {
	for i := range *members {
		if (*members)[i].name == name {
			(*members)[i].value = value
			return
		}
	}
	*members = append(*members, member{name, value})
}

// remove takes a member out.
func remove(members *[]member, name string) {
	kept := (*members)[:0]
	for _, m := range *members {
		if m.name != name {
			kept = append(kept, m)
		}
	}
	*members = kept
}

// sign returns the compact form, well signed.
func (f *forgery) sign() (string, error) {
	return f.signText(object(f.payload))
}

// signText signs any payload.
func (f *forgery) signText(payload string) (string, error) {
	input := f.input(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + encode(string(signature[:])), nil
}

// signWithPublicKey makes the public key an HMAC secret.
func (f *forgery) signWithPublicKey() (string, error) {
	secret, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		return "", err
	}
	input := f.input(object(f.payload))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + encode(string(mac.Sum(nil))), nil
}

// input is the JWS signing input.
func (f *forgery) input(payload string) string {
	return encode(object(f.header)) + "." + encode(payload)
}

// ownKey replaces the signing key by a new one that no key set has, and names it.
func (f *forgery) ownKey() (*trat.Key, error) {
	key, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	f.key = key.private
	return key.signer.Key(), nil
}

// jwk returns a public key as it would stand in a header.
func jwk(key *trat.Key) (string, error) {
	set, err := trat.NewStaticKeySet(key)
	if err != nil {
		return "", err
	}
	var jwks struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(set.JWKS(), &jwks); err != nil {
		return "", err
	}
	if len(jwks.Keys) != 1 {
		return "", errors.New("not one key")
	}
	return string(jwks.Keys[0]), nil
}

func object(members []member) string {
	var b strings.Builder
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(m.name))
		b.WriteByte(':')
		b.WriteString(m.value)
	}
	return "{" + b.String() + "}"
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(quoted)
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
