// Package servertest is for tests of what is in front of package server: a World is a trust
// domain with a real token service whose parts can be changed, and Refusals is the whole
// table of requests that every front end has to refuse, each in the words of its protocol.
package servertest
