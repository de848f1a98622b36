//go:build race

package trat

// raceEnabled tells tests of allocations that the race detector is on.
const raceEnabled = true
