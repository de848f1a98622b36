package binding

import (
	"errors"
	"math"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// valueForm is any JSON value: google.protobuf.Value.
type valueForm struct {
	message protoreflect.MessageDescriptor
	kinds   [valueKinds]messageField // by number
}

// The fields of google.protobuf.Value, all of one oneof.
const (
	valueNull   protoreflect.FieldNumber = 1
	valueNumber protoreflect.FieldNumber = 2
	valueKinds                           = 7
)

var (
	errNaN     = errors.New("is not a number")
	errNoValue = errors.New("holds a google.protobuf.Value without a value")
	errNoMask  = errors.New("is a field mask that has no text")
)

func newValueForm(f *forms, message protoreflect.MessageDescriptor) (form, error) {
	v := &valueForm{message: message}
	f.messages[message] = v
	for number := valueNull; number < valueKinds; number++ {
		field := message.Fields().ByNumber(number)
		inner, err := f.of(field)
		if err != nil {
			return nil, err
		}
		v.kinds[number] = messageField{descriptor: field, form: inner}
	}
	return v, nil
}

// kind returns the field that is set; nil when none is, or a null by another number.
func (f *valueForm) kind(message protoreflect.Message) *messageField {
	for number := valueNull; number < valueKinds; number++ {
		field := &f.kinds[number]
		switch {
		case !message.Has(field.descriptor):
		case number == valueNull && message.Get(field.descriptor).Enum() != 0:
			return nil
		default:
			return field
		}
	}
	return nil
}

func (f *valueForm) equals(value protoreflect.Value, member trat.Value) bool {
	message := value.Message()
	if !isPlain(message, f.message) {
		return false
	}
	switch field := f.kind(message); {
	case field == nil:
		return false
	case field.descriptor.Number() == valueNull:
		return member.IsNull()
	case field.descriptor.Number() == valueNumber:
		// JSON has no number for infinity, and its text is a text.
		_, ok := member.Number()
		return ok && field.form.equals(message.Get(field.descriptor), member)
	default:
		return field.form.equals(message.Get(field.descriptor), member)
	}
}

func (f *valueForm) write(w *jsonWriter, value protoreflect.Value) error {
	message := value.Message()
	if err := checkPlain(message, f.message); err != nil {
		return err
	}
	switch field := f.kind(message); {
	case field == nil:
		return errNoValue
	case field.descriptor.Number() == valueNull:
		w.buf = append(w.buf, "null"...)
		return nil
	case field.descriptor.Number() == valueNumber && math.IsInf(message.Get(field.descriptor).Float(), 0):
		return errNaN
	default:
		return field.form.write(w, message.Get(field.descriptor))
	}
}

// fieldMaskForm is the paths in lower camel case, joined by commas.
type fieldMaskForm struct {
	message protoreflect.MessageDescriptor
	paths   protoreflect.FieldDescriptor
}

func newFieldMaskForm(_ *forms, message protoreflect.MessageDescriptor) (form, error) {
	return fieldMaskForm{message: message, paths: message.Fields().ByNumber(1)}, nil
}

func (f fieldMaskForm) equals(value protoreflect.Value, member trat.Value) bool {
	said, ok := member.Text()
	if !ok || !isPlain(value.Message(), f.message) {
		return false
	}
	text, err := f.text(value.Message(), len(said))
	return err == nil && string(text) == said
}

func (f fieldMaskForm) write(w *jsonWriter, value protoreflect.Value) error {
	if err := checkPlain(value.Message(), f.message); err != nil {
		return err
	}
	text, err := f.text(value.Message(), trat.MaxObjectSize)
	if err != nil {
		return err
	}
	return w.text(string(text))
}

// text returns the text of a mask, of at most limit bytes.
func (f fieldMaskForm) text(message protoreflect.Message, limit int) (text []byte, err error) {
	paths := message.Get(f.paths).List()
	for i := range paths.Len() {
		if i > 0 {
			text = append(text, ',')
		}
		var ok bool
		if text, ok = appendCamel(text, paths.Get(i).String()); !ok {
			return nil, errNoMask
		}
		if len(text) > limit {
			return nil, errTooLarge
		}
	}
	return text, nil
}

// appendCamel appends names joined by dots in lower camel case. It reports false for those
// that could not be read back: with an upper-case letter, or with '_' before anything but
// a lower-case one.
func appendCamel(dst []byte, path string) ([]byte, bool) {
	if !protoreflect.FullName(path).IsValid() {
		return nil, false
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case 'A' <= c && c <= 'Z':
			return nil, false
		case c == '_':
			if i++; i == len(path) || path[i] < 'a' || path[i] > 'z' {
				return nil, false
			}
			c = strings.ToUpper(path[i : i+1])[0]
		}
		dst = append(dst, c)
	}
	return dst, true
}
