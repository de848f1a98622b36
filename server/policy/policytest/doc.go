// Package policytest holds policies to tables of what they should decide: what `trat policy
// test` and `trat policy explain` read. Nothing that decides needs it.
package policytest
