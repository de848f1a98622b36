package callchain

import "time"

// MetadataKey is the gRPC metadata key of a chain: one value, ASCII.
const MetadataKey = "txn-chain"

const (
	// MaxLinks is the number of links of a chain in path form.
	MaxLinks = 6
	// MaxDepth is the largest depth of a link in head form.
	MaxDepth = 63
	// MaxGroupLevels is the largest depth of the tree of links that are signed together:
	// at most 1024 of them.
	MaxGroupLevels = 10
	// MaxEncodedSize is the longest value of MetadataKey, in bytes.
	MaxEncodedSize = 8<<10 - 512
	// DefaultLifetime is how long a link may be on its way, from iat to exp.
	DefaultLifetime = 15 * time.Second
	// MaxLifetime is the longest lifetime of a link that is accepted.
	MaxLifetime = 60 * time.Second
)
