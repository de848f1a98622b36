package chainaudit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// eachLine gives every line that is not blank, without its newline; nil stands for one of
// more than limit bytes. What each gets is valid until it returns. It needs the memory of
// the longest line.
func eachLine(r io.Reader, limit int, each func(number int64, line []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for number := int64(1); ; number++ {
		line = line[:0]
		tooLong := false
		var err error
		for {
			var piece []byte
			piece, err = in.ReadSlice('\n')
			if tooLong = tooLong || len(line)+len(piece) > limit; !tooLong {
				line = append(line, piece...)
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text := bytes.TrimSpace(line)
		if tooLong {
			text = nil
		}
		if tooLong || len(text) > 0 {
			if err := each(number, text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}
