// Package rules holds what methods require: it reads the rules that stand beside RPCs in
// proto files (proto/trat/v1/rules.proto), joins them with those of code and of a platform
// team's overlay, compares two of them, compiles them against the message types, and
// evaluates them.
//
// The way of a rule:
//
//	Of ─ descriptor ┐
//	                ├ Merge ─ Tighten ─ Compile ─ Program
//	       code's Rule ┘        │
//	             overlay's Rule ┘
//
// A Rule is data and says what was written. Effective fills in the defaults, Fitted takes
// what a service's rule says about one method, and Loosened compares two versions. A Program
// is what a guard evaluates for each call: everything that can be looked up or found wrong
// is, before the first call. Errors name methods, fields and members, never values.
//
// Package binding below it knows bindings alone; relations and conditions are here.
package rules
