package semconv

import "go.opentelemetry.io/otel/attribute"

// Attribute keys of the OpenTelemetry registry.
const (
	// RPCMethod is the fully-qualified method without a leading slash,
	// "pkg.Service/Method".
	RPCMethod = attribute.Key("rpc.method")
	// RPCResponseStatusCode is the gRPC status code's name, "PERMISSION_DENIED".
	RPCResponseStatusCode = attribute.Key("rpc.response.status_code")
	// ErrorType is the trat.Reason of a failure.
	ErrorType = attribute.Key("error.type")
	// EnduserPseudoID is a keyed hash of the subject (opt-in).
	EnduserPseudoID = attribute.Key("enduser.pseudo.id")
)

// Attribute keys for the TraT.
const (
	// TokenTxn is the transaction id. Spans and logs only.
	TokenTxn = attribute.Key("txn_token.txn")
	// TokenHash is the first 16 hexadecimal digits of the token's SHA-256. Spans
	// and logs only.
	TokenHash = attribute.Key("txn_token.hash")
	// TokenFingerprint is the whole SHA-256 of the token, base64url, 43 characters.
	// Logs only, audit records above all.
	TokenFingerprint = attribute.Key("txn_token.fingerprint")
	// TokenResult is the outcome, one of the Result values.
	TokenResult = attribute.Key("txn_token.result")
	// TokenMode is how strictly the method is guarded, one of the Mode values.
	TokenMode = attribute.Key("txn_token.mode")
	// TokenField is what a refusal with a verified token is about: a field of the request, a
	// condition of the rule, a claim. Server spans only.
	TokenField = attribute.Key("txn_token.field")
	// TokenReqWL is the workload that asked the token service for the token. Not on
	// metrics.
	TokenReqWL = attribute.Key("txn_token.req_wl")
	// TokenScope is the list of scope tokens (opt-in: it may reveal intent).
	TokenScope = attribute.Key("txn_token.scope")
	// TokenRemainingLifetime is the time until exp, in seconds (double).
	TokenRemainingLifetime = attribute.Key("txn_token.remaining_lifetime")
	// TokenSize is the token's size in bytes (int).
	TokenSize = attribute.Key("txn_token.size")
	// TokenReplacementCount is how often the token was replaced (int).
	TokenReplacementCount = attribute.Key("txn_token.replacement_count")
	// TokenIssuer is the token's iss. Logs only.
	TokenIssuer = attribute.Key("txn_token.issuer")
	// TokenSubjectTokenType is the requested subject_token_type, from the closed set
	// that the token service serves; OtherSubjectTokenType otherwise.
	TokenSubjectTokenType = attribute.Key("txn_token.subject_token_type")
	// TokenPolicyVersion is the hash of the issuance policy. Logs only.
	TokenPolicyVersion = attribute.Key("txn_token.policy_version")
	// TokenPolicyRule is the name of the policy rule that decided: that granted, or that was
	// selected and refused. Logs only.
	TokenPolicyRule = attribute.Key("txn_token.policy_rule")
	// TokenSubjectIssuer is the issuer of the verified subject token. Logs only.
	TokenSubjectIssuer = attribute.Key("txn_token.subject_issuer")
	// TokenParameters are the names of the parameters at fault, as the caller was told them
	// (list). Audit log only.
	TokenParameters = attribute.Key("txn_token.parameters")
	// TokenOmittedRefusals is how many refusals for a workload's limits have no record of
	// their own. Audit log only.
	TokenOmittedRefusals = attribute.Key("txn_token.omitted_refusals")
	// TokenRequestID is the request_id of an Exchange. Logs only.
	TokenRequestID = attribute.Key("txn_token.request_id")
	// TokenDecisionID joins the audit record of a decision with the log of its cause.
	// Logs only.
	TokenDecisionID = attribute.Key("txn_token.decision_id")
	// TokenIssuedAt and TokenExpiry are the token's iat and exp. Logs only.
	TokenIssuedAt = attribute.Key("txn_token.issued_at")
	TokenExpiry   = attribute.Key("txn_token.expiry")
	// TokenOutlivesSubject says that the token ends after its subject token (bool).
	// Logs only.
	TokenOutlivesSubject = attribute.Key("txn_token.outlives_subject")
	// TokenReplacedFingerprint is the fingerprint of the token that was replaced. Logs
	// only.
	TokenReplacedFingerprint = attribute.Key("txn_token.replaced_fingerprint")
	// TokenRepeated says that a repeated request had the answer of the first one (bool).
	TokenRepeated = attribute.Key("txn_token.repeated")
	// TokenDroppedMembers are the optional members of tctx and rctx that could not be
	// built (list). Logs only.
	TokenDroppedMembers = attribute.Key("txn_token.dropped_members")
	// TokenDroppedMember is one of them, on the metric that counts them.
	TokenDroppedMember = attribute.Key("txn_token.dropped_member")
	// TokenEvaluationPDP is the name of the policy decision point that was asked. Logs
	// only.
	TokenEvaluationPDP = attribute.Key("txn_token.evaluation.pdp")
	// TokenEvaluationFailedOpen says that it gave no decision and the token was issued
	// nevertheless (bool). Logs only.
	TokenEvaluationFailedOpen = attribute.Key("txn_token.evaluation.failed_open")
	// TokenPseudonymKey names the key and the period of EnduserPseudoID. Logs only.
	TokenPseudonymKey = attribute.Key("txn_token.pseudonym_key")
	// TokenOutcome is what the carrier did, one of the Outcome values.
	TokenOutcome = attribute.Key("txn_token.outcome")
	// TokenStreamAction is what became of a stream whose token ended, one of the
	// StreamAction values.
	TokenStreamAction = attribute.Key("txn_token.stream.action")
)

// Attribute keys for the call chain and the mTLS peer.
const (
	// ChainResult is the guard's verdict on the chain, one of the ChainResult values.
	ChainResult = attribute.Key("txn_chain.result")
	// ChainDepth is the number of links before the last one since the root (int).
	ChainDepth = attribute.Key("txn_chain.depth")
	// ChainLinkHash is the hash of the call's own link, base64url, 43 characters: the
	// same on the client's span and the server's. Spans and logs only.
	ChainLinkHash = attribute.Key("txn_chain.link.hash")
	// ChainLinkCount is how many links of the receipt of a replacement were verified (int).
	// Audit log only.
	ChainLinkCount = attribute.Key("txn_chain.link.count")
	// ChainParentHash is the hash of the link that the caller had received. Spans and
	// logs only.
	ChainParentHash = attribute.Key("txn_chain.parent.hash")
	// ChainTraceMatch says whether the received traceparent is what the caller signed
	// (bool).
	ChainTraceMatch = attribute.Key("txn_chain.trace_match")
	// ChainMode is how much of the chain is required or sent, one of the ChainMode values.
	ChainMode = attribute.Key("txn_chain.mode")
	// ChainAlg is the algorithm of a link's signature, "ES256".
	ChainAlg = attribute.Key("txn_chain.alg")
	// ChainPeerID is the SPIFFE ID of the mTLS peer. Server spans and logs only.
	ChainPeerID = attribute.Key("txn_chain.peer.id")
	// ReplayMode is what a replay store remembers, one of the ReplayMode values.
	ReplayMode = attribute.Key("txn_token.replay_cache.mode")
)

// Values of ChainResult. A refusal for another reason than the chain leaves ChainResultOK.
const (
	ChainResultOK           = "ok"
	ChainResultMissing      = "missing"
	ChainResultLinkInvalid  = "link_invalid"
	ChainResultPeerMismatch = "peer_mismatch"
	ChainResultRootMismatch = "root_mismatch"
	ChainResultTooDeep      = "too_deep"
	ChainResultReplayed     = "replayed"
	// ChainResultOff: the method requires no chain, and none was read.
	ChainResultOff = "off"
	// ChainResultError: the check itself could not be made.
	ChainResultError = "error"
)

// Values of ReplayMode.
const (
	ReplayModeJTI  = "jti"
	ReplayModeOnce = "once"
)

// Values of TokenResult.
const (
	// ResultOK: the token was accepted, issued or fetched.
	ResultOK = "ok"
	// ResultDenied: refused because of what the caller sent or is.
	ResultDenied = "denied"
	// ResultWouldDeny: served, but strict mode would have refused.
	ResultWouldDeny = "would_deny"
	// ResultExempt: the method needs no token.
	ResultExempt = "exempt"
	// ResultError: refused because the check itself could not be made.
	ResultError = "error"
)

// Values of TokenMode.
const (
	ModeStrict   = "strict"
	ModePresence = "presence"
	ModeShadow   = "shadow"
	// ModeOff is the mode of an exempt method.
	ModeOff = "off"
)

// Values of TokenStreamAction.
const (
	// StreamActionClosed: the guard ended the stream.
	StreamActionClosed = "closed"
	// StreamActionDrained: the handler was told before the end and ended the stream itself.
	StreamActionDrained = "drained"
	// StreamActionRenewed: the stream has got another token.
	StreamActionRenewed = "renewed"
	// StreamActionKept: the stream went on, because its rule permits it or is not strict.
	StreamActionKept = "kept"
)

// Values of TokenOutcome.
const (
	// OutcomeAttached: the token went out with the call.
	OutcomeAttached = "attached"
	// OutcomeStripped: an outside caller's metadata was removed at the edge.
	OutcomeStripped = "stripped"
	// OutcomeBlocked: the call was refused before it left; ErrorType says why.
	OutcomeBlocked = "blocked"
	// OutcomeExpired: the call was refused because its token has expired.
	OutcomeExpired = "expired"
	// OutcomeAbsent: the call was refused because there is no token in its context.
	OutcomeAbsent = "absent"
)

// OtherSubjectTokenType is the value of TokenSubjectTokenType on metrics for a type
// that is not served.
const OtherSubjectTokenType = "_OTHER"

// Names of log events: the value of the EventName key of a log record. A record's
// message is constant text.
const (
	EventName = "event.name"

	EventVerificationFailed    = "txn_token.verification.failed"     // WARN
	EventVerificationWouldFail = "txn_token.verification.would_fail" // WARN, of a call that was let through
	EventIssuanceDenied        = "txn_token.issuance.denied"         // WARN
	EventIssued                = "txn_token.issued"                  // INFO, audit
	EventReplaced              = "txn_token.replaced"                // INFO
	EventSizeAlarm             = "txn_token.size.alarm"              // WARN
	EventLeakDetected          = "txn_token.leak.detected"           // ERROR
	EventEgressBlocked         = "txn_token.egress.blocked"          // WARN
	EventKeysRefreshed         = "txn_token.keys.refreshed"          // INFO
	EventKeysStale             = "txn_token.keys.stale"              // ERROR
	EventStreamExpired         = "txn_token.stream.expired"          // INFO
)

// Lines of a chain log. In the file only.
const (
	EventChainAudit            = "txn_chain.audit" // one judged call
	EventChainAuditCertificate = "txn_chain.audit.certificate"
	EventChainAuditBundle      = "txn_chain.audit.bundle"
	EventChainAuditClosed      = "txn_chain.audit.closed"
)

// What an audit log says about itself. In the file and in the log of checkpoints only.
const (
	EventAuditOpened     = "txn_token.audit.opened"
	EventAuditResumed    = "txn_token.audit.resumed"
	EventAuditCheckpoint = "txn_token.audit.checkpoint" // INFO

	// AuditHead is how far an audit log has come: its id, sequence number and hash.
	AuditHead = attribute.Key("txn_token.audit.head")
	// AuditLog is the id of an audit log.
	AuditLog = attribute.Key("txn_token.audit.log")
	// AuditHash is the function that chains it, "sha256" or "hmac-sha256".
	AuditHash = attribute.Key("txn_token.audit.hash")
	// AuditKey names the key of hmac-sha256.
	AuditKey = attribute.Key("txn_token.audit.key")
	// AuditLost is how many records could not be written (int).
	AuditLost = attribute.Key("txn_token.audit.lost")
	// AuditTornBytes and AuditTornHash are length (int) and SHA-256 of half-written text.
	AuditTornBytes = attribute.Key("txn_token.audit.torn.bytes")
	AuditTornHash  = attribute.Key("txn_token.audit.torn.hash")
)
