package trat

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
)

// encoding/json finds the field for a member without regard to case, so that
// {"amount":1,"AMOUNT":9} decodes as 9 where Int64("amount") is 1. Two readers must
// not see two different transactions: Decode refuses such objects beforehand.

var errSameField = errors.New("JSON: two members for one field")

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// checkNames walks v as encoding/json will when it decodes it into a t, and fails when
// two members of an object would go to one field. Types that unmarshal themselves are
// their own readers.
func checkNames(t reflect.Type, v jsonValue) error {
	for t.Kind() == reflect.Pointer && !t.Implements(unmarshaler) {
		t = t.Elem()
	}
	if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	switch {
	case v.kind == jsonObject && t.Kind() == reflect.Struct:
		fields := make(map[string]reflect.Type)
		addFields(fields, t, nil)
		taken := make(map[string]bool)
		for name, member := range (Object{text: v.raw}).members() {
			field, ok := fieldFor(fields, name)
			if !ok {
				continue
			}
			if taken[field] {
				return errSameField
			}
			taken[field] = true
			if err := checkNames(fields[field], member); err != nil {
				return err
			}
		}
	case v.kind == jsonObject && t.Kind() == reflect.Map:
		for _, member := range (Object{text: v.raw}).members() {
			if err := checkNames(t.Elem(), member); err != nil {
				return err
			}
		}
	case v.kind == jsonArray && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		for element := range elements(v.raw) {
			if err := checkNames(t.Elem(), element); err != nil {
				return err
			}
		}
	}
	return nil
}

// fieldFor returns the name of the field that a member of this name goes to.
func fieldFor(fields map[string]reflect.Type, name string) (string, bool) {
	if _, ok := fields[name]; ok {
		return name, true
	}
	for field := range fields {
		if strings.EqualFold(field, name) {
			return field, true
		}
	}
	return "", false
}

// addFields adds the JSON names of a struct's fields, those of embedded structs
// included. Outer fields come first: they hide embedded ones of the same name.
func addFields(fields map[string]reflect.Type, t reflect.Type, within []reflect.Type) {
	var embedded []reflect.Type
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
			continue
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			embedded = append(embedded, inner)
			continue
		case !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		if _, hidden := fields[name]; !hidden {
			fields[name] = f.Type
		}
	}
	for _, inner := range embedded {
		if inner != t && !slices.Contains(within, inner) {
			addFields(fields, inner, append(slices.Clip(within), t))
		}
	}
}
