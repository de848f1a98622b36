package hashchain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// MaxCheckpoints is how many checkpoints ReadCheckpoints takes: those of two years, at one
// per minute.
const MaxCheckpoints = 1 << 20

// ReadCheckpoints returns the checkpoints in a log of operations, each once: lines of
// slog's JSON or text handler with event.name txn_token.audit.checkpoint. Something may
// stand before the record, as a system's log puts it there. Other lines are passed over,
// and so are those longer than MaxLine, and a last one that is cut off.
//
// They are of every audit log that the log of operations tells of. A checkpoint whose head
// cannot be read is an error, and so are more than MaxCheckpoints.
func ReadCheckpoints(r io.Reader) ([]Head, error) {
	var heads []Head
	seen := make(map[Head]bool)
	lines := bufio.NewReaderSize(r, MaxLine+1)
	for number := 1; ; number++ {
		text, end := lines.ReadSlice('\n')
		whole := end == nil
		for errors.Is(end, bufio.ErrBufferFull) {
			_, end = lines.ReadSlice('\n')
			text = nil
		}
		last := errors.Is(end, io.EOF)
		if end != nil && !last {
			return nil, fmt.Errorf("hashchain: %w", end)
		}
		if value, ok := checkpointOf(text); ok {
			head, err := ParseHead(value)
			switch {
			case err == nil && !seen[head]:
				seen[head] = true
				heads = append(heads, head)
			case err != nil && whole:
				return nil, fmt.Errorf("hashchain: line %d: %w", number, err)
			}
		}
		if len(heads) > MaxCheckpoints {
			return nil, fmt.Errorf("hashchain: more than %d checkpoints", MaxCheckpoints)
		}
		if last {
			return heads, nil
		}
	}
}

// checkpointOf returns the head that a line of a log of operations has as a checkpoint.
func checkpointOf(text []byte) (head string, ok bool) {
	if !bytes.Contains(text, []byte(semconv.EventAuditCheckpoint)) {
		return "", false
	}
	if begin := bytes.IndexByte(text, '{'); begin >= 0 {
		var record struct {
			Event string  `json:"event.name"`
			Head  *string `json:"txn_token.audit.head"`
		}
		if json.Unmarshal(text[begin:], &record) == nil {
			if record.Event != semconv.EventAuditCheckpoint || record.Head == nil {
				return "", false
			}
			return *record.Head, true
		}
	}
	attributes := textAttributes(string(text))
	head, ok = attributes[string(semconv.AuditHead)]
	return head, ok && attributes[semconv.EventName] == semconv.EventAuditCheckpoint
}

// textAttributes takes a line of slog's text handler apart, so that what is quoted in a
// value is no attribute. Words that are no attributes are passed over.
func textAttributes(line string) map[string]string {
	attributes := make(map[string]string)
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		key, rest := word(line, " =")
		value, found := "", false
		if rest, found = strings.CutPrefix(rest, "="); found {
			value, rest = word(rest, " ")
			attributes[key] = value
		}
		line = rest
	}
	return attributes
}

// word cuts off what is quoted, or what stands before any of the ends.
func word(line, ends string) (word, rest string) {
	if quoted, err := strconv.QuotedPrefix(line); err == nil && quoted[0] == '"' {
		word, _ = strconv.Unquote(quoted) // it is quoted
		return word, line[len(quoted):]
	}
	if end := strings.IndexAny(line, ends); end >= 0 {
		return line[:end], line[end:]
	}
	return line, ""
}
