// Package expression holds what the expressions of issuance policies and of methods' rules
// have in common: the part of CEL (cel-go) that may be used, and the bounds of size, nesting
// and cost, before an expression runs and while it does.
package expression
