package render

import (
	"encoding/json"
	"io"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// JSONWriter writes an audit as JSON lines: an object with "type":"transaction" for each
// transaction, and at the end one with "type":"summary", without which the audit did not
// come to its end. Hashes are complete. It is for one goroutine.
type JSONWriter struct{ encoder *json.Encoder }

// NewJSONWriter returns a JSONWriter. Every object is written with one call of w.Write.
func NewJSONWriter(w io.Writer) *JSONWriter {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return &JSONWriter{encoder}
}

// Transaction writes t.
func (j *JSONWriter) Transaction(t *chainaudit.Transaction) error {
	return j.encoder.Encode(struct {
		Type  string              `json:"type"`
		Worst chainaudit.Severity `json:"worst"`
		*chainaudit.Transaction
	}{"transaction", t.Worst(), t})
}

// Summary writes what there is to say about r as a whole, transactions excepted.
func (j *JSONWriter) Summary(r *chainaudit.Report) error {
	whole := *r
	whole.Transactions = nil
	return j.encoder.Encode(struct {
		Type  string `json:"type"`
		Clean bool   `json:"clean"`
		*chainaudit.Report
		// Of the same name as the field of Report, which it hides.
		Transactions []*chainaudit.Transaction `json:"transactions,omitempty"`
	}{Type: "summary", Clean: r.Clean(), Report: &whole})
}
