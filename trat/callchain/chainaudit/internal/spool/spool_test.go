package spool_test

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
)

// What is put under a key by several at a time is read again from the partition of the key.
func TestFramesAreInThePartitionOfTheirKey(t *testing.T) {
	const keys, each = 20, 30
	s, err := spool.New(t.TempDir(), "frames", 7, maphash.MakeSeed())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var writers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			key := fmt.Sprint("key ", k)
			for n := range each {
				var f spool.Frame
				f.Text(key)
				f.Number(uint64(n))
				if _, err := s.Put(s.Of(key), f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	next := make(map[string]uint64)
	for partition := range s.Parts() {
		if err := s.Read(partition, func(frame []byte) error {
			r := spool.Reader{Rest: frame}
			key, n := r.Text(), r.Number()
			if r.Failed || len(r.Rest) > 0 || s.Of(key) != partition || n != next[key] {
				t.Errorf("partition %d has frame %d of %s", partition, n, key)
			}
			next[key]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(next) != keys {
		t.Errorf("%d keys", len(next))
	}
}

func TestFrameIsFoundWhereItWasPut(t *testing.T) {
	s, err := spool.New(t.TempDir(), "frames", 1, maphash.MakeSeed())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var places []int64
	for _, text := range []string{"a", "", "longer"} {
		at, err := s.Put(0, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, at)
	}
	if _, err := s.Put(0, make([]byte, 2<<20)); err == nil {
		t.Error("a frame without a limit was taken")
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.At(0, places[2]); err != nil || string(got) != "longer" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.At(0, 1000); !errors.Is(err, spool.ErrChanged) {
		t.Errorf("beyond the end: %v", err)
	}
	enough := errors.New("enough")
	if err := s.Read(0, func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

func TestValuesAreReadAsTheyWereWritten(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	var f spool.Frame
	f.Number(1 << 40)
	f.Text("text")
	f.Time(at)
	f.Time(time.Time{})
	r := spool.Reader{Rest: f}
	got := []any{r.Number(), r.Text(), r.Time(), r.Time(), r.Failed}
	if diff := cmp.Diff([]any{uint64(1 << 40), "text", at, time.Time{}, false}, got); diff != "" {
		t.Error(diff)
	}
	if r.Text() != "" || !r.Failed {
		t.Error("more was read than there is")
	}
	cut := spool.Reader{Rest: []byte{9, 'x'}}
	if cut.Text() != "" || !cut.Failed || !cut.Time().IsZero() {
		t.Error("a text that is cut was read")
	}
}
