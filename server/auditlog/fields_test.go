package auditlog

import (
	"reflect"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// fullRecord returns the record of an issued token that has every field, so that a sink
// that drops one is found out.
func fullRecord(tb testing.TB) server.Record {
	tb.Helper()
	var r server.Record
	at := time.Date(2026, 11, 22, 12, 0, 0, 250e6, time.UTC)
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		switch value := field.Addr().Interface().(type) {
		case *string:
			*value = "the " + name
		case *int:
			*value = 100 + i
		case *bool:
			*value = true
		case *[]string:
			*value = []string{name, "two"}
		case *time.Time:
			*value = at.Add(time.Duration(i) * time.Second)
		case *trat.Reason: // it was issued
		default:
			tb.Fatalf("server.Record.%s has a type that no sink knows", name)
		}
	}
	return r
}

// Covers TTS-42.
func TestEveryFieldOfARecordIsWritten(t *testing.T) {
	rows, keys := make(map[string]int), make(map[string]bool)
	for _, f := range fields {
		rows[f.name]++
		if keys[f.key] {
			t.Errorf("two fields are written as %s", f.key)
		}
		keys[f.key] = true
	}
	for member := range reflect.TypeFor[server.Record]().Fields() {
		name := member.Name
		want := 1
		if name == "Time" {
			want = 0
		}
		if rows[name] != want {
			t.Errorf("server.Record.%s has %d rows, want %d", name, rows[name], want)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("a row for %s, which server.Record does not have", name)
	}
	r := fullRecord(t)
	for _, f := range fields {
		got, ok := f.value(&r)
		if f.name == "Reason" {
			continue
		}
		want := reflect.ValueOf(r).FieldByName(f.name).Interface()
		if n, isInt := want.(int); isInt {
			want = int64(n)
		}
		if !ok || !reflect.DeepEqual(got.Any(), want) {
			t.Errorf("%s is written as %v, want %v", f.name, got, want)
		}
	}
}
