package seats_test

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/seats"
)

func TestNobodyHasAllSeats(t *testing.T) {
	s := seats.New(8)
	take := func(caller string) (n int) {
		for s.Take(caller) {
			n++
		}
		return n
	}
	if got := take("a"); got != 4 {
		t.Errorf("one alone has %d of 8 seats, want 4", got)
	}
	if got := take("b"); got != 2 {
		t.Errorf("the second has %d of the 4 that are left, want 2", got)
	}
	if !s.Take("c") {
		t.Error("there is no seat for a third")
	}
	s.Leave("a")
	s.Leave("a")
	s.Leave("a")
	if !s.Take("b") {
		t.Error("seats that were left are not there for others")
	}
}

func TestALastSeatCanBeTaken(t *testing.T) {
	s := seats.New(1)
	if !s.Take("a") || s.Take("b") {
		t.Error("one seat is not for exactly one")
	}
	s.Leave("a")
	if !s.Take("b") {
		t.Error("the seat did not come free")
	}
}
