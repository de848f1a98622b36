package semconv

// Units of the instruments, in UCUM.
const (
	unitSeconds = "s"
	unitBytes   = "By"
)

// verifyBuckets span a cached verification (some microseconds) to one that waits.
func verifyBuckets() []float64 {
	return []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3}
}

// Instruments of the guard and the carrier.
var (
	// ServerVerifications counts judged calls by TokenResult, TokenMode, RPCMethod
	// and, when refused, ErrorType.
	ServerVerifications = Instrument{
		Name: "txn_token.server.verifications", Unit: "{verification}",
		Description: "Calls that the guard judged.",
	}
	// ServerVerificationDuration is the time the guard took, by TokenResult. The
	// handler is not included.
	ServerVerificationDuration = Instrument{
		Name: "txn_token.server.verification.duration", Unit: unitSeconds,
		Description: "Time the guard took to judge a call.", Buckets: verifyBuckets(),
	}
	// ServerMethods is how many registered methods there are in each TokenMode.
	ServerMethods = Instrument{
		Name: "txn_token.server.methods", Unit: "{method}",
		Description: "Methods by how strictly the guard enforces their rules.",
	}
	// ServerEvaluationDuration is the time that a policy decision point took to answer the
	// guard, by TokenResult. It is part of ServerVerificationDuration.
	ServerEvaluationDuration = Instrument{
		Name: "txn_token.server.evaluation.duration", Unit: unitSeconds,
		Description: "Time the guard waited for a policy decision point.",
		Buckets:     []float64{250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5},
	}
	// ClientPropagations counts outgoing calls by TokenOutcome and, when refused,
	// ErrorType.
	ClientPropagations = Instrument{
		Name: "txn_token.client.propagations", Unit: "{call}",
		Description: "Outgoing calls by what became of their Transaction Token.",
	}
	// StreamExpirations counts what became of streams as their tokens ended, by
	// TokenStreamAction.
	StreamExpirations = Instrument{
		Name: "txn_token.stream.expirations", Unit: "{stream}",
		Description: "Streams whose Transaction Token ended before them, by what became of them.",
	}
)

// Instruments of the token service.
var (
	// Issuances counts Exchange decisions by TokenResult, TokenSubjectTokenType and,
	// when refused, ErrorType; when a request was repeated, TokenRepeated.
	Issuances = Instrument{
		Name: "txn_token.issuances", Unit: "{token}",
		Description: "Decisions of the token service.",
	}
	// IssuanceDuration is the time one decision took, by TokenResult.
	IssuanceDuration = Instrument{
		Name: "txn_token.issuance.duration", Unit: unitSeconds,
		Description: "Time the token service took to decide.",
		Buckets:     []float64{100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5},
	}
	// TokenLifetime is exp - iat of issued tokens.
	TokenLifetime = Instrument{
		Name: "txn_token.lifetime", Unit: unitSeconds,
		Description: "Lifetime of issued Transaction Tokens.",
		Buckets:     []float64{1, 2, 5, 10, 15, 20, 30, 60, 90, 120, 180, 240, 300},
	}
	// IssuedTokenSize is the size of issued tokens.
	IssuedTokenSize = Instrument{
		Name: "txn_token.token.size", Unit: unitBytes,
		Description: "Size of issued Transaction Tokens.",
		Buckets:     []float64{256, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096},
	}
	// SizeAlarms counts issued tokens beyond 75 % of the longest.
	SizeAlarms = Instrument{
		Name: "txn_token.token.size.alarms", Unit: "{token}",
		Description: "Issued Transaction Tokens that are near the size limit.",
	}
	// DroppedMembers counts the optional members of tctx and rctx that were left out
	// because they could not be built, by TokenDroppedMember.
	DroppedMembers = Instrument{
		Name: "txn_token.members.dropped", Unit: "{member}",
		Description: "Optional members of tctx and rctx that could not be built.",
	}
	// AuditFailures counts audit records that could not be written.
	AuditFailures = Instrument{
		Name: "txn_token.audit.failures", Unit: "{record}",
		Description: "Audit records that could not be written.",
	}
	// PolicyReloads counts policy files that were taken up or found bad, by TokenResult.
	PolicyReloads = Instrument{
		Name: "txn_token.policy.reloads", Unit: "{reload}",
		Description: "Policy files that were taken up or found bad while the token service ran.",
	}
	// PolicyStale is 1 while the policy file is bad and the one before it in force.
	PolicyStale = Instrument{
		Name: "txn_token.policy.stale", Unit: "1",
		Description: "Whether the policy in force is not that of the file, because that is bad.",
	}
)

// Instruments of key distribution.
var (
	// KeysAge is the time since the key set was last received.
	KeysAge = Instrument{
		Name: "txn_token.keys.age", Unit: unitSeconds,
		Description: "Time since the verification key set was last received.",
	}
	// KeysRefreshes counts received or refused key sets by TokenResult.
	KeysRefreshes = Instrument{
		Name: "txn_token.keys.refreshes", Unit: "{refresh}",
		Description: "Key sets that were received.",
	}
)

// Instruments of the call chain.
var (
	// ChainVerifications counts judged chains by ChainResult and ChainMode.
	ChainVerifications = Instrument{
		Name: "txn_chain.server.verifications", Unit: "{verification}",
		Description: "Call chains that the guard judged.",
	}
	// ChainLinks is the number of verified links of accepted chains.
	ChainLinks = Instrument{
		Name: "txn_chain.links", Unit: "{link}",
		Description: "Links of received call chains.",
		Buckets:     []float64{1, 2, 3, 4, 5, 6, 8, 12, 16},
	}
	// ChainSignDuration is the time one link took, by ChainAlg.
	ChainSignDuration = Instrument{
		Name: "txn_chain.client.sign.duration", Unit: unitSeconds,
		Description: "Time to sign a link, waiting for its group included.", Buckets: verifyBuckets(),
	}
	// ChainGroupSize is how many links share a signature, once for each of them.
	ChainGroupSize = Instrument{
		Name: "txn_chain.client.group.size", Unit: "{link}",
		Description: "Links that share the signature of a link, itself included.",
		Buckets:     []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
	}
	// ChainRecordsLost counts the records that a chain log could not take.
	ChainRecordsLost = Instrument{
		Name: "txn_chain.server.records.lost", Unit: "{record}",
		Description: "Records of judged calls that the chain log has lost.",
	}
	// ReplayCacheSize is the number of entries of a guard's local replay stores, by
	// ReplayMode.
	ReplayCacheSize = Instrument{
		Name: "txn_token.replay_cache.size", Unit: "{entry}",
		Description: "Entries in the replay store.",
	}
	// ReplayCacheRejections counts calls that were refused as replays, or because a
	// replay store could not tell, by ReplayMode and ErrorType.
	ReplayCacheRejections = Instrument{
		Name: "txn_token.replay_cache.rejections", Unit: "{rejection}",
		Description: "Calls that were refused as replays, or because the replay store could not tell.",
	}
	// ReplayCacheOverflows counts calls that were let through although the replay store
	// had no room to remember them.
	ReplayCacheOverflows = Instrument{
		Name: "txn_token.replay_cache.overflows", Unit: "{entry}",
		Description: "Calls that were accepted without being remembered, for want of room in the replay store.",
	}
)
