package binding

import (
	"errors"
	"unicode/utf8"

	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errTooDeep  = errors.New("is nested too deep for a TraT")
	errTooLarge = errors.New("is too large for a TraT")
	errNoUTF8   = errors.New("is no valid UTF-8")
)

// jsonWriter writes JSON that the strict reader accepts, and stops where that would: a
// message may be larger by far than what a TraT has room for.
type jsonWriter struct {
	buf   []byte
	depth int // of objects and arrays that are open
}

// room fails when n bytes more would be too many.
func (w *jsonWriter) room(n int) error {
	if len(w.buf)+n > trat.MaxObjectSize {
		return errTooLarge
	}
	return nil
}

func (w *jsonWriter) open(bracket byte) error {
	// An Object may nest one level less than a token's payload.
	if w.depth++; w.depth >= trat.MaxDepth {
		return errTooDeep
	}
	w.buf = append(w.buf, bracket)
	return w.room(0)
}

func (w *jsonWriter) close(bracket byte) error {
	w.depth--
	w.buf = append(w.buf, bracket)
	return w.room(0)
}

// next writes what separates an element or member from the one before.
func (w *jsonWriter) next() error {
	if last := w.buf[len(w.buf)-1]; last != '{' && last != '[' {
		w.buf = append(w.buf, ',')
	}
	return w.room(0)
}

func (w *jsonWriter) name(name string) error {
	err := w.text(name)
	w.buf = append(w.buf, ':')
	return err
}

func (w *jsonWriter) text(text string) error {
	if err := w.room(len(text)); err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		return errNoUTF8
	}
	const hex = "0123456789abcdef"
	w.buf = append(w.buf, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			w.buf = append(w.buf, '\\', c)
		case c < ' ':
			w.buf = append(w.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			w.buf = append(w.buf, c)
		}
	}
	w.buf = append(w.buf, '"')
	return nil
}
