// Package expression holds what the expressions of issuance policies and of methods' rules
// have in common: the part of CEL (cel-go) that may be used, the bounds of size, nesting
// and cost, before an expression runs and while it does, and how JSON and messages are read.
//
// Functions are those of the CEL standard library, without bytes, dyn, type and what takes
// a time zone: times are UTC. Macros are has, all, exists, exists_one, map and filter.
//
// An expression compiles only if MaxCost is enough for it by an estimate that supposes
// texts of MaxText bytes and lists and maps of MaxElements. When it runs its cost is counted
// by what values really are, and it ends with an error beyond its limit, and where one step
// alone would take long: a macro walks lists of at most 1000 elements and maps of at most
// MaxElements, and matches and keys of maps take texts of at most MaxText bytes. Elsewhere
// values may be of any size.
//
// Problems name variables, members and types, never values.
package expression
