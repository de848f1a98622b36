package binding

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// span is seconds and nanoseconds, as Timestamp and Duration have them.
type span struct {
	message        protoreflect.MessageDescriptor
	seconds, nanos protoreflect.FieldDescriptor
}

func newSpan(message protoreflect.MessageDescriptor) span {
	return span{message: message, seconds: message.Fields().ByNumber(1), nanos: message.Fields().ByNumber(2)}
}

func (s span) read(value protoreflect.Value) (seconds, nanos int64, plain bool) {
	message := value.Message()
	if !isPlain(message, s.message) {
		return 0, 0, false
	}
	return message.Get(s.seconds).Int(), message.Get(s.nanos).Int(), true
}

var (
	errNoTime     = errors.New("is no time that has a text")
	errNoDuration = errors.New("is no duration that has a text")
)

// timestampForm is an RFC 3339 text of the same instant, of whatever offset.
type timestampForm struct{ span }

func newTimestampForm(_ *forms, message protoreflect.MessageDescriptor) (form, error) {
	return timestampForm{newSpan(message)}, nil
}

// timePattern is what time.Time reads too, and less: that takes a comma for a point, hours
// of one digit and offsets of days, and cuts off what is beyond nanoseconds.
var timePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

const (
	maxFractionDigits = 9
	nanosPerSecond    = int64(time.Second)

	// The years 1 to 9999.
	minTimestamp = -62135596800
	maxTimestamp = 253402300799
)

func (f timestampForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Text()
	if !ok || !timePattern.MatchString(said) {
		return false
	}
	instant, err := time.Parse(time.RFC3339Nano, said)
	if err != nil {
		return false
	}
	t, ok := f.time(value)
	return ok && instant.Equal(t)
}

// time is the instant; ok is false when there is none, or none that has a text.
func (f timestampForm) time(value protoreflect.Value) (t time.Time, ok bool) {
	seconds, nanos, ok := f.read(value)
	if !ok || seconds < minTimestamp || seconds > maxTimestamp || nanos < 0 || nanos >= nanosPerSecond {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

func (f timestampForm) write(w *jsonWriter, value protoreflect.Value) error {
	t, ok := f.time(value)
	if !ok {
		return errNoTime
	}
	w.buf = t.AppendFormat(append(w.buf, '"'), "2006-01-02T15:04:05")
	w.buf = append(appendNanos(w.buf, int64(t.Nanosecond())), 'Z', '"')
	return nil
}

// durationForm is seconds with a fraction of at most nine digits, and an s.
type durationForm struct{ span }

func newDurationForm(_ *forms, message protoreflect.MessageDescriptor) (form, error) {
	return durationForm{newSpan(message)}, nil
}

// maxDuration is protobuf's bound, in seconds.
const maxDuration = 315_576_000_000

// parts returns a duration as a sign and what is behind it.
func (f durationForm) parts(value protoreflect.Value) (negative bool, seconds, nanos int64, ok bool) {
	seconds, nanos, ok = f.read(value)
	negative = seconds < 0 || nanos < 0
	if negative {
		if seconds > 0 || nanos > 0 || seconds == math.MinInt64 {
			return false, 0, 0, false
		}
		seconds, nanos = -seconds, -nanos
	}
	return negative, seconds, nanos, ok && seconds <= maxDuration && nanos < nanosPerSecond
}

func (f durationForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Text()
	if !ok {
		return false
	}
	negative, seconds, nanos, ok := f.parts(value)
	if !ok {
		return false
	}
	said, minus := strings.CutPrefix(said, "-")
	said, unit := strings.CutSuffix(said, "s")
	whole, fraction, pointed := strings.Cut(said, ".")
	n := digits(fraction)
	if minus != negative || !unit || n != len(fraction) || n > maxFractionDigits || pointed && n == 0 {
		return false
	}
	var saidNanos int64
	for i := range maxFractionDigits {
		saidNanos *= 10
		if i < n {
			saidNanos += int64(fraction[i] - '0')
		}
	}
	var memory [integerSize]byte
	return saidNanos == nanos && whole == string(strconv.AppendInt(memory[:0], seconds, 10))
}

func (f durationForm) write(w *jsonWriter, value protoreflect.Value) error {
	negative, seconds, nanos, ok := f.parts(value)
	if !ok {
		return errNoDuration
	}
	w.buf = append(w.buf, '"')
	if negative {
		w.buf = append(w.buf, '-')
	}
	w.buf = append(appendNanos(strconv.AppendInt(w.buf, seconds, 10), nanos), 's', '"')
	return nil
}

// digits returns how many decimal digits text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return n
}

// appendNanos appends a fraction of a second, of 0, 3, 6 or 9 digits as protojson has it.
func appendNanos(dst []byte, nanos int64) []byte {
	if nanos == 0 {
		return dst
	}
	const decimals = "0123456789"
	dst = append(dst, '.')
	for group := nanosPerSecond / 1000; group > 0 && nanos > 0; group /= 1000 {
		three := nanos / group
		dst = append(dst, decimals[three/100], decimals[three/10%10], decimals[three%10])
		nanos %= group
	}
	return dst
}
