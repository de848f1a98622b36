package subject

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// maxNumericDate is the end of the year 9999.
const maxNumericDate = 253402300799

// maxClaim is the longest text of a claim without a bound of its own, in bytes.
const maxClaim = 1024

// claimReader reads typed claims. The first problem stays in err, and everything
// read after it is the zero value.
type claimReader struct {
	claims trat.Object
	err    error
}

func (r *claimReader) has(name string) bool {
	_, ok := r.claims.Raw(name)
	return ok
}

func (r *claimReader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = invalid(field, format, args...)
	}
}

// text reads a text that must be there, of 1 to limit bytes.
func (r *claimReader) text(name string, limit int) string {
	if r.err != nil {
		return ""
	}
	value, ok := r.claims.Text(name)
	switch {
	case !ok && !r.has(name):
		r.fail(name, "is missing")
	case !ok:
		r.fail(name, "is not text")
	case value == "":
		r.fail(name, "is empty")
	case len(value) > limit:
		r.fail(name, "is longer than %d bytes", limit)
	default:
		return value
	}
	return ""
}

// optionalText reads a text that may be absent. It may not be empty or null.
func (r *claimReader) optionalText(name string, limit int) string {
	if !r.has(name) {
		return ""
	}
	return r.text(name, limit)
}

// date reads a NumericDate that must be there, in whole seconds.
func (r *claimReader) date(name string) time.Time {
	if r.err != nil {
		return time.Time{}
	}
	seconds, ok := r.claims.Int64(name)
	switch {
	case !ok && !r.has(name):
		r.fail(name, "is missing")
	case !ok || seconds <= 0 || seconds > maxNumericDate:
		r.fail(name, "is not a date in whole seconds")
	default:
		return time.Unix(seconds, 0)
	}
	return time.Time{}
}

// optionalDate reads a NumericDate that may be absent, which is the zero time.
func (r *claimReader) optionalDate(name string) time.Time {
	if !r.has(name) {
		return time.Time{}
	}
	return r.date(name)
}

// audience reads "aud": a text or a list of them (RFC 7519 section 4.1.3).
func (r *claimReader) audience() []string {
	if r.err != nil {
		return nil
	}
	raw, ok := r.claims.Raw("aud")
	if !ok {
		r.fail("aud", "is missing")
		return nil
	}
	if !strings.HasPrefix(raw, "[") {
		return []string{r.text("aud", maxClaim)}
	}
	var audience []string
	if err := json.Unmarshal([]byte(raw), &audience); err != nil || len(audience) == 0 || slices.Contains(audience, "") {
		r.fail("aud", "is not a list of texts")
		return nil
	}
	return audience
}

// recipient reads "aud" and checks that it contains the given recipient.
func (r *claimReader) recipient(want string) {
	if audience := r.audience(); !slices.Contains(audience, want) {
		r.fail("aud", "does not contain the intended recipient")
	}
}

// lifetime reads "exp" and "iat", which must be there, and checks them as valid does.
func (r *claimReader) lifetime(now time.Time, skew, ahead time.Duration) (exp, iat time.Time) {
	exp, iat = r.date("exp"), r.date("iat")
	r.valid(exp, iat, now, skew, ahead)
	return exp, iat
}

// valid checks exp, iat and, if there, "nbf" against now: exp may have passed by skew,
// iat and nbf may be ahead by so much. A zero iat is an absent one.
func (r *claimReader) valid(exp, iat, now time.Time, skew, ahead time.Duration) {
	nbf := r.optionalDate("nbf")
	switch {
	case r.err != nil:
	case iat.After(now.Add(ahead)):
		r.fail("iat", "is in the future")
	case nbf.After(now.Add(ahead)):
		r.fail("nbf", "is in the future")
	case !exp.After(iat):
		r.fail("exp", "is not after iat")
	default:
		r.err = notExpired(exp, now, skew)
	}
}

// notExpired returns SUBJECT_TOKEN_EXPIRED from exp and skew on (RFC 7519 section
// 4.1.4).
func notExpired(exp, now time.Time, skew time.Duration) error {
	if now.Before(exp.Add(skew)) {
		return nil
	}
	return trat.Errorf(trat.ReasonSubjectTokenExpired, "exp", "has passed")
}
