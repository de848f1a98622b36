// Package expression holds what the expressions of issuance policies and of methods' rules
// have in common: the part of CEL (cel-go) that may be used, the bounds of size, nesting
// and cost, before an expression runs and while it does, and how JSON is read.
//
// Functions are those of the CEL standard library, without bytes, dyn, type and what takes
// a time zone: times are UTC. Macros are has, all, exists, exists_one, map and filter.
//
// Problems name variables, members and types, never values.
package expression
