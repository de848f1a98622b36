package hashchain

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzVerify reads anything: no input makes it panic, and none that is not a log passes.
func FuzzVerify(f *testing.F) {
	lines, _ := tamperLog(f)
	keyed, _ := tamperLog(f, withKey)
	f.Add([]byte(strings.Join(lines, "")))
	f.Add([]byte(strings.Join(keyed, "")))
	f.Add([]byte(lines[0] + lines[1][:50] + "\n" + lines[2]))
	f.Add([]byte("\n\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, key := range [][]byte{nil, testKey} {
			report, err := Verify(bytes.NewReader(text), VerifyOptions{Key: key})
			if err == nil && (len(report.Breaks) > 0 || report.First != 1 || report.Head.check() != nil ||
				uint64(report.Records+report.Opened+report.Resumed) != report.Head.Sequence) {
				t.Errorf("passes with %+v", report)
			}
			if err != nil && !errors.Is(err, ErrBroken) {
				t.Errorf("error %v", err)
			}
		}
	})
}

// FuzzTamper changes a log of which the end is known, without a key: any change is found.
//
// Covers AUD-01.
func FuzzTamper(f *testing.F) {
	lines, head := tamperLog(f)
	log := []byte(strings.Join(lines, ""))
	f.Add(uint(100), uint(1), []byte("x"))
	f.Add(uint(0), uint(len(lines[0])), []byte{})
	f.Add(uint(len(lines[0])), uint(0), []byte(lines[1]))
	f.Add(uint(len(log)), uint(0), []byte("\n"))
	f.Fuzz(func(t *testing.T, at, removed uint, inserted []byte) {
		from := min(at, uint(len(log)))
		to := from + min(removed, uint(len(log))-from)
		text := append(append(append([]byte(nil), log[:from]...), inserted...), log[to:]...)
		_, err := Verify(bytes.NewReader(text), VerifyOptions{Heads: []Head{head}})
		same := bytes.Equal(bytes.TrimSuffix(text, []byte{'\n'}), bytes.TrimSuffix(log, []byte{'\n'}))
		if same != (err == nil) {
			t.Errorf("changed: %t, error %v", !same, err)
		}
	})
}
