// Package repotest holds the tests of the repository itself: which package may import
// which, that each package is documented once, that documents name only files, tests and
// requirements that exist, and that tracked files hold nothing that belongs to one machine.
// It has no code but tests.
package repotest
