package binding

// Kinds is a set of kinds of JSON values that are not null. Numbers without a fraction are a
// kind of their own.
type Kinds uint8

// The kinds of JSON values.
const (
	Bools Kinds = 1 << iota
	Integers
	Fractions
	Texts
	Lists
	Objects

	Numbers  = Integers | Fractions
	AnyKinds = Bools | Numbers | Texts | Lists | Objects
)

// Shape is what can be said of JSON values without one of them. The zero Shape is that of
// none.
type Shape struct {
	Kinds Kinds
	// Elements is the shape of each element of a list; nil: any.
	Elements *Shape
}

func (boolForm) shape() Shape { return Shape{Kinds: Bools} }

func (f integerForm) shape() Shape {
	if f.wide {
		return Shape{Kinds: Integers | Texts}
	}
	return Shape{Kinds: Integers}
}

// Infinity is a text.
func (realForm) shape() Shape { return Shape{Kinds: Numbers | Texts} }

func (stringForm) shape() Shape { return Shape{Kinds: Texts} }

func (bytesForm) shape() Shape { return Shape{Kinds: Texts} }

// Of a closed enum no value is without a name.
func (f enumForm) shape() Shape {
	if f.closed {
		return Shape{Kinds: Texts}
	}
	return Shape{Kinds: Texts | Integers}
}

func (timestampForm) shape() Shape { return Shape{Kinds: Texts} }

func (durationForm) shape() Shape { return Shape{Kinds: Texts} }

func (fieldMaskForm) shape() Shape { return Shape{Kinds: Texts} }

func (*valueForm) shape() Shape { return Shape{Kinds: AnyKinds} }

func (f listForm) shape() Shape {
	elements := f.elements.shape()
	return Shape{Kinds: Lists, Elements: &elements}
}

func (mapForm) shape() Shape { return Shape{Kinds: Objects} }

func (*messageForm) shape() Shape { return Shape{Kinds: Objects} }

func (f *onlyFieldForm) shape() Shape { return f.form.shape() }
