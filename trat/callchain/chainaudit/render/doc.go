// Package render writes what an audit of call chains has found: as text and as a page with
// pictures for people, as JSON lines for programs. It makes no judgement of its own; all that
// is written is in a chainaudit.Report.
//
// TextWriter, JSONWriter and WriteHTML are what there is to use. tree.go puts the calls of a
// transaction in the order in which they are shown, advice.go has what findings mean; text.go
// and html.go write them, and svg.go draws.
package render
