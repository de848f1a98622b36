package config

import (
	"fmt"

	"github.com/grpc-trat/grpc-trat/internal/protoset"
)

// maxDescriptorSets bounds the memory that descriptor sets take, with protoset.MaxSize.
const maxDescriptorSets = 16

func readDescriptors(path string) ([]byte, error) { return readRegular(path, protoset.MaxSize, 0) }

// descriptors reads the descriptor sets. Each stays by itself: different versions of one file
// may be in several of them.
func (c *checker) descriptors(paths []string, out *Config) {
	const field = "descriptors"
	switch {
	case len(paths) == 0 && c.lines[field] != 0:
		c.bad(field, "is empty")
	case len(paths) > maxDescriptorSets:
		c.bad(field, "want at most %d", maxDescriptorSets)
		return
	}
	seen := make(map[string]bool, len(paths))
	for i, path := range paths {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case path == "" || c.files.descriptors == nil:
			continue // it is empty, which the decoder has said, or not to be read
		case seen[path]:
			c.bad(at, "%s is there twice", path)
			continue
		}
		seen[path] = true
		text, err := c.files.descriptors(path)
		if err != nil {
			c.bad(at, "%v", err)
			continue
		}
		set, err := protoset.Parse(text)
		if err != nil {
			c.bad(at, "%s: %v", path, err)
			continue
		}
		out.Descriptors = append(out.Descriptors, set)
	}
}
