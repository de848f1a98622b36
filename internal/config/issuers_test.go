package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/subject"
)

// A problem of an issuer that had no key could not be found in the file.
func TestEveryFieldOfAnIssuerHasItsKey(t *testing.T) {
	fields := append(fieldsOf(reflect.TypeFor[subject.IssuerConfig](), ""),
		fieldsOf(reflect.TypeFor[subject.IntrospectionConfig](), "Introspection.")...)
	for _, field := range fields {
		key, ok := issuerKeys[field]
		if !ok {
			t.Errorf("%s has no key", field)
			continue
		}
		within := reflect.TypeFor[issuer]()
		if nested, found := strings.CutPrefix(key, "introspection."); found {
			within, key = reflect.TypeFor[introspection](), nested
		}
		if !memberOf(reflect.New(within).Elem(), key).IsValid() {
			t.Errorf("%s: there is no key %q", field, key)
		}
	}
	for field := range issuerKeys {
		if !slices.Contains(fields, field) {
			t.Errorf("there is no field %s", field)
		}
	}
}

func fieldsOf(t reflect.Type, prefix string) []string {
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		names = append(names, prefix+field.Name)
	}
	return names
}
