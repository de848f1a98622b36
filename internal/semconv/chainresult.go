package semconv

// ChainResultOf is the value of ChainResult for the reason, a trat.Reason, that refuses a
// chain: ChainResultError for one that is not about the chain, which the check then could
// not be made of.
func ChainResultOf(reason string) string {
	switch reason {
	case "CHAIN_MISSING":
		return ChainResultMissing
	case "CHAIN_LINK_INVALID":
		return ChainResultLinkInvalid
	case "CHAIN_PEER_MISMATCH":
		return ChainResultPeerMismatch
	case "CHAIN_ROOT_MISMATCH":
		return ChainResultRootMismatch
	case "CHAIN_TOO_DEEP":
		return ChainResultTooDeep
	case "CHAIN_REPLAYED":
		return ChainResultReplayed
	default:
		return ChainResultError
	}
}
