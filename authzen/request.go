package authzen

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Subject is who wants to act (section 5.1).
type Subject struct {
	// Type and ID name it. Required.
	Type string
	ID   string
	// Properties are optional.
	Properties map[string]any
}

// Action is what the subject wants to do (section 5.3).
type Action struct {
	// Name is required.
	Name string
	// Properties are optional.
	Properties map[string]any
}

// Resource is what the subject wants to act on (section 5.2).
type Resource struct {
	// Type and ID name it. Required.
	Type string
	ID   string
	// Properties are optional.
	Properties map[string]any
}

// Request is one question (section 6.1): may Subject do Action on Resource? Properties and
// Context are whatever encoding/json can marshal; a json.Marshaler, such as a trat.Object,
// goes out as it is.
type Request struct {
	Subject  Subject
	Action   Action
	Resource Resource
	// Context is what else the decision may depend on (section 5.4). Optional.
	Context map[string]any
}

// wire is a Request as it goes out. Absent properties are left out: some PDPs do not take
// null for an object.
type wire struct {
	Subject  entity         `json:"subject"`
	Action   entity         `json:"action"`
	Resource entity         `json:"resource"`
	Context  map[string]any `json:"context,omitempty"`
}

type entity struct {
	Type       string         `json:"type,omitempty"`
	ID         string         `json:"id,omitempty"`
	Name       string         `json:"name,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
}

// marshal checks r and returns its JSON. The errors of both hold no value.
func (r Request) marshal() ([]byte, error) {
	var problems []error
	for _, member := range []struct{ name, value string }{
		{"subject.type", r.Subject.Type},
		{"subject.id", r.Subject.ID},
		{"action.name", r.Action.Name},
		{"resource.type", r.Resource.Type},
		{"resource.id", r.Resource.ID},
	} {
		switch {
		case member.value == "":
			problems = append(problems, errors.New(member.name+" is required"))
		case !utf8.ValidString(member.value):
			// encoding/json would send another name instead.
			problems = append(problems, errors.New(member.name+" is not UTF-8"))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	body, err := json.Marshal(wire{
		Subject:  entity{Type: r.Subject.Type, ID: r.Subject.ID, Properties: r.Subject.Properties},
		Action:   entity{Name: r.Action.Name, Properties: r.Action.Properties},
		Resource: entity{Type: r.Resource.Type, ID: r.Resource.ID, Properties: r.Resource.Properties},
		Context:  r.Context,
	})
	if err != nil {
		return nil, errors.New("properties or context cannot be marshalled")
	}
	return body, nil
}
