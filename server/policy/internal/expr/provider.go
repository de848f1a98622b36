package expr

import (
	"errors"
	"maps"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Names of the types of variables with fields. CEL has no way to write them, so no
// expression can make a value of one.
const (
	claimsType      = "@claims"
	detailsType     = "@details"
	contextType     = "@context"
	subjectType     = "@subject"
	transactionType = "@transaction"
)

// provider tells CEL the fields of our types. It knows no others: no protobuf messages.
type provider struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType // by type, by field
}

func newProvider(d Declarations) *provider {
	return &provider{
		Registry: types.NewEmptyRegistry(),
		fields: map[string]map[string]*types.FieldType{
			claimsType:      recordFields(d.Claims),
			detailsType:     recordFields(d.Details),
			contextType:     recordFields(d.Context),
			subjectType:     subjectFields,
			transactionType: transactionFields,
		},
	}
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.fields[name]
	return slices.Sorted(maps.Keys(fields)), ok
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := p.fields[name][field]
	return f, ok
}

// NewValue implements types.Provider: there are no values to be made.
func (p *provider) NewValue(string, map[string]ref.Val) ref.Val {
	return types.NewErrFromString("no value can be made of this type")
}

var errNoRecord = errors.New("a variable has no fields")

func recordFields(declared map[string]Type) map[string]*types.FieldType {
	fields := make(map[string]*types.FieldType, len(declared))
	for name, t := range declared {
		fields[name] = &types.FieldType{
			Type: t.cel,
			IsSet: func(target any) bool {
				r, ok := target.(*Record)
				return ok && r.Has(name)
			},
			GetFrom: func(target any) (any, error) {
				r, ok := target.(*Record)
				if !ok {
					return nil, errNoRecord
				}
				return r.get(name)
			},
		}
	}
	return fields
}

// fieldOf is a field that is always set.
func fieldOf[T any](t *types.Type, get func(T) ref.Val) *types.FieldType {
	return &types.FieldType{
		Type:  t,
		IsSet: func(target any) bool { _, ok := target.(T); return ok },
		GetFrom: func(target any) (any, error) {
			v, ok := target.(T)
			if !ok {
				return nil, errNoRecord
			}
			return get(v), nil
		},
	}
}

var texts = types.NewListType(types.StringType)

func textList(values []string) ref.Val {
	return types.NewStringList(types.DefaultTypeAdapter, values)
}

var subjectFields = map[string]*types.FieldType{
	"id":         fieldOf(types.StringType, func(s *Subject) ref.Val { return types.String(s.ID) }),
	"issuer":     fieldOf(types.StringType, func(s *Subject) ref.Val { return types.String(s.Issuer) }),
	"token_type": fieldOf(types.StringType, func(s *Subject) ref.Val { return types.String(s.TokenType) }),
	"scopes":     fieldOf(texts, func(s *Subject) ref.Val { return textList(s.Scopes) }),
}

var object = types.NewMapType(types.StringType, types.DynType)

var transactionFields = map[string]*types.FieldType{
	"scopes":       fieldOf(texts, func(t *Transaction) ref.Val { return textList(t.Scopes) }),
	"requester":    fieldOf(types.StringType, func(t *Transaction) ref.Val { return types.String(t.Requester) }),
	"chain":        fieldOf(texts, func(t *Transaction) ref.Val { return textList(t.Chain) }),
	"replacements": fieldOf(types.IntType, func(t *Transaction) ref.Val { return types.Int(t.Replacements) }),
	"start":        fieldOf(types.TimestampType, func(t *Transaction) ref.Val { return types.Timestamp{Time: t.Start} }),
	"tctx":         fieldOf(object, func(t *Transaction) ref.Val { return objectValue(t.TransactionContext) }),
	"rctx":         fieldOf(object, func(t *Transaction) ref.Val { return objectValue(t.RequestContext) }),
}
