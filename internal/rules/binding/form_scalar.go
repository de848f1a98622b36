package binding

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

type boolForm struct{}

func (boolForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Bool()
	return ok && said == value.Bool()
}

func (boolForm) write(w *jsonWriter, value protoreflect.Value) error {
	w.buf = strconv.AppendBool(w.buf, value.Bool())
	return nil
}

// integerForm compares texts: there is one for each integer, so that none is rounded.
type integerForm struct {
	signed bool
	wide   bool // of 64 bits, which protojson writes as strings
}

const integerSize = 20 // of the longest, in bytes

func (f integerForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Number()
	if !ok && f.wide {
		said, ok = member.Text()
	}
	var memory [integerSize]byte
	return ok && said == string(f.append(memory[:0], value))
}

func (f integerForm) append(dst []byte, value protoreflect.Value) []byte {
	if f.signed {
		return strconv.AppendInt(dst, value.Int(), 10)
	}
	return strconv.AppendUint(dst, value.Uint(), 10)
}

func (f integerForm) write(w *jsonWriter, value protoreflect.Value) error {
	w.buf = f.append(w.buf, value)
	return nil
}

// realForm compares float and double; see sameReal.
type realForm struct{ bits int }

const infinity, minusInfinity = "Infinity", "-Infinity"

func (f realForm) equals(value protoreflect.Value, member trat.Value) bool {
	v := value.Float()
	if number, ok := member.Number(); ok {
		return sameReal(v, f.bits, number)
	}
	text, ok := member.Text()
	return ok && (math.IsInf(v, 1) && text == infinity || math.IsInf(v, -1) && text == minusInfinity)
}

func (f realForm) write(w *jsonWriter, value protoreflect.Value) error {
	switch v := value.Float(); {
	case math.IsNaN(v):
		return errNaN
	case math.IsInf(v, 1):
		return w.text(infinity)
	case math.IsInf(v, -1):
		return w.text(minusInfinity)
	default:
		w.buf = appendReal(w.buf, v, f.bits)
	}
	return nil
}

type stringForm struct{}

// equals compares bytes: two texts that only look the same are two texts.
func (stringForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Text()
	return ok && said == value.String()
}

func (stringForm) write(w *jsonWriter, value protoreflect.Value) error { return w.text(value.String()) }

// bytesForm is standard base64 with padding, in its canonical form.
type bytesForm struct{}

func (bytesForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Text()
	content := value.Bytes()
	if !ok || len(said) != base64.StdEncoding.EncodedLen(len(content)) {
		return false
	}
	// By the chunk, without memory for the whole.
	const chunk = 48
	var memory [chunk / 3 * 4]byte
	for part := range slices.Chunk(content, chunk) {
		encoded := base64.StdEncoding.AppendEncode(memory[:0], part)
		if string(encoded) != said[:len(encoded)] {
			return false
		}
		said = said[len(encoded):]
	}
	return true
}

func (bytesForm) write(w *jsonWriter, value protoreflect.Value) error {
	if err := w.room(base64.StdEncoding.EncodedLen(len(value.Bytes()))); err != nil {
		return err
	}
	w.buf = append(base64.StdEncoding.AppendEncode(append(w.buf, '"'), value.Bytes()), '"')
	return nil
}

// enumForm is a name of the number, any of them, or the number if it has no name.
type enumForm struct {
	names  map[protoreflect.EnumNumber][]string
	closed bool
}

func newEnumForm(enum protoreflect.EnumDescriptor) enumForm {
	f := enumForm{names: make(map[protoreflect.EnumNumber][]string), closed: enum.IsClosed()}
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		f.names[value.Number()] = append(f.names[value.Number()], string(value.Name()))
	}
	return f
}

func (f enumForm) equals(value protoreflect.Value, member trat.Value) bool {
	names, named := f.names[value.Enum()]
	if named {
		said, ok := member.Text()
		return ok && slices.Contains(names, said)
	}
	var memory [integerSize]byte
	said, ok := member.Number()
	return ok && said == string(f.appendNumber(memory[:0], value))
}

func (enumForm) appendNumber(dst []byte, value protoreflect.Value) []byte {
	return strconv.AppendInt(dst, int64(value.Enum()), 10)
}

func (f enumForm) write(w *jsonWriter, value protoreflect.Value) error {
	if names := f.names[value.Enum()]; len(names) > 0 {
		return w.text(names[0])
	}
	w.buf = f.appendNumber(w.buf, value)
	return nil
}
