package binding

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/trat"
)

func mustObject(tb testing.TB, text string) trat.Object {
	tb.Helper()
	o, err := trat.ParseObject(text)
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return o
}

// mustBind compiles bindings of message.
func mustBind(tb testing.TB, message proto.Message, list ...Binding) *Set {
	tb.Helper()
	b, err := Compile(list, message.ProtoReflect().Descriptor(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// wantDenied fails unless err is POLICY_DENIED for field, with a cause that contains why and
// none of the values.
func wantDenied(tb testing.TB, err error, field, why string, values ...string) {
	tb.Helper()
	var denied *trat.Error
	if !errors.As(err, &denied) || denied.Reason != trat.ReasonPolicyDenied || denied.Field != field {
		tb.Fatalf("%v, want %s of %q", err, trat.ReasonPolicyDenied, field)
	}
	if denied.Err == nil || !strings.Contains(denied.Err.Error(), why) {
		tb.Errorf("cause %v, want %q", denied.Err, why)
	}
	for _, value := range values {
		if len(value) > 4 && strings.Contains(err.Error(), value) {
			tb.Errorf("%v: quotes %s", err, value)
		}
	}
}

// formCase is a field with a value, and members of tctx that are this value or are not.
// Whichever is refused by the strict reader is in neither.
type formCase struct {
	message proto.Message
	field   string
	made    string // as Details would make it; "": it cannot be made
	equal   []string
	unequal []string
}

func runFormCases(t *testing.T, cases map[string]formCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := mustBind(t, tc.message, Binding{Field: tc.field, Tctx: "m"})
			m := tc.message.ProtoReflect()
			for _, member := range tc.equal {
				if err := b.Check(mustObject(t, `{"m":`+member+`}`), m); err != nil {
					t.Errorf("%s: %v", member, err)
				}
			}
			for _, member := range tc.unequal {
				err := b.Check(mustObject(t, `{"m":`+member+`}`), m)
				if err == nil {
					t.Errorf("%s is taken for it", member)
					continue
				}
				wantDenied(t, err, tc.field, "is not what tctx has as m", member)
			}
			for _, tctx := range []string{`{}`, `{"m":null}`, `{"n":1}`} {
				wantDenied(t, b.Check(mustObject(t, tctx), m), tc.field, "tctx has no m")
			}
			wantMade(t, b, tc)
		})
	}
}

// wantMade makes the member of a case, which must be what is wanted and equal.
func wantMade(t *testing.T, b *Set, tc formCase) {
	t.Helper()
	d := details{bindings: b}
	d.root.add(&b.list[0], b.list[0].member)
	made, err := d.of(tc.message.ProtoReflect())
	if tc.made == "" {
		if reason, _ := trat.ReasonOf(err); reason != trat.ReasonParameterInvalid {
			t.Errorf("made of it: %s, %v", made.JSON(), err)
		}
		return
	}
	if want := `{"m":` + tc.made + `}`; err != nil || made.JSON() != want {
		t.Errorf("made of it: %s, %v; want %s", made.JSON(), err, want)
	}
}
