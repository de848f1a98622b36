package trat

// Reason is the one stable word for a failure. It is an error, so that
//
//	errors.Is(err, trat.ReasonTxnTokenExpired)
//
// works on every error of the packages trat and client. What a guard or a carrier
// makes of a call is a gRPC status: interceptors.ReasonFrom finds the Reason of either
// kind. The same word is the Reason enum of trat.v1 (without its REASON_ prefix),
// google.rpc.ErrorInfo.reason, a span's error.type and a metric label.
type Reason string

// Error returns the word itself.
func (r Reason) Error() string { return string(r) }

// Reasons for the TraT that arrived with a call.
const (
	// ReasonTxnTokenMissing: no txn-token metadata.
	ReasonTxnTokenMissing Reason = "TXN_TOKEN_MISSING"
	// ReasonTxnTokenMalformed: not one well-formed TraT (encoding, size, JSON,
	// count, header or claim types).
	ReasonTxnTokenMalformed Reason = "TXN_TOKEN_MALFORMED"
	// ReasonTxnTokenInvalid: well-formed, but not to be trusted (type, algorithm,
	// issuer, key, signature, iat, lifetime).
	ReasonTxnTokenInvalid Reason = "TXN_TOKEN_INVALID"
	// ReasonTxnTokenExpired: past exp and leeway.
	ReasonTxnTokenExpired Reason = "TXN_TOKEN_EXPIRED"
	// ReasonTxnTokenAudience: made for another trust domain.
	ReasonTxnTokenAudience Reason = "TXN_TOKEN_AUDIENCE"
)

// Reasons for a valid TraT that is not enough.
const (
	// ReasonInsufficientScope: the token's scope lacks what the method requires.
	ReasonInsufficientScope Reason = "INSUFFICIENT_SCOPE"
	// ReasonPolicyDenied: a rule of the method, or the absence of one, refuses.
	ReasonPolicyDenied Reason = "POLICY_DENIED"
	// ReasonPeerDenied: the mTLS peer may not call this method.
	ReasonPeerDenied Reason = "PEER_DENIED"
)

// Reasons for the call chain.
const (
	// ReasonChainMissing: no call chain where the method requires one.
	ReasonChainMissing Reason = "CHAIN_MISSING"
	// ReasonChainLinkInvalid: a link does not verify.
	ReasonChainLinkInvalid Reason = "CHAIN_LINK_INVALID"
	// ReasonChainPeerMismatch: the last link was not signed by the mTLS peer.
	ReasonChainPeerMismatch Reason = "CHAIN_PEER_MISMATCH"
	// ReasonChainRootMismatch: the first link was not signed by req_wl.
	ReasonChainRootMismatch Reason = "CHAIN_ROOT_MISMATCH"
	// ReasonChainTooDeep: more links than the method or the format permits.
	ReasonChainTooDeep Reason = "CHAIN_TOO_DEEP"
	// ReasonChainReplayed: a link that was accepted before.
	ReasonChainReplayed Reason = "CHAIN_REPLAYED"
)

// Reasons for a check whose own needs are out of reach.
const (
	// ReasonKeysUnavailable: the verification key set is absent or stale.
	ReasonKeysUnavailable Reason = "KEYS_UNAVAILABLE"
	// ReasonPolicyUnavailable: the policy is absent.
	ReasonPolicyUnavailable Reason = "POLICY_UNAVAILABLE"
	// ReasonCoverageUnchecked: the guard was not checked against the services.
	ReasonCoverageUnchecked Reason = "COVERAGE_UNCHECKED"
)

// Reasons for calls that leave a workload.
const (
	// ReasonClientMetadataConflict: the application set the carrier's metadata.
	ReasonClientMetadataConflict Reason = "CLIENT_METADATA_CONFLICT"
	// ReasonEgressBlocked: the connected peer is outside the trust domain.
	ReasonEgressBlocked Reason = "EGRESS_BLOCKED"
	// ReasonMetadataTooLarge: the metadata would pass the header budget.
	ReasonMetadataTooLarge Reason = "METADATA_TOO_LARGE"
	// ReasonDownstreamRejected: a called service refused this service's token or
	// chain.
	ReasonDownstreamRejected Reason = "DOWNSTREAM_REJECTED"
)

// Reasons for the mTLS peer.
const (
	// ReasonClientUnauthenticated: no verified peer identity on the connection.
	ReasonClientUnauthenticated Reason = "CLIENT_UNAUTHENTICATED"
	// ReasonPeerSVIDExpired: the peer's X.509-SVID expired mid-connection.
	ReasonPeerSVIDExpired Reason = "PEER_SVID_EXPIRED"
)

// Reasons for an Exchange request.
const (
	ReasonParameterMissing            Reason = "PARAMETER_MISSING"
	ReasonParameterInvalid            Reason = "PARAMETER_INVALID"
	ReasonGrantTypeUnsupported        Reason = "GRANT_TYPE_UNSUPPORTED"
	ReasonAudienceNotServed           Reason = "AUDIENCE_NOT_SERVED"
	ReasonScopeMalformed              Reason = "SCOPE_MALFORMED"
	ReasonScopeExceeded               Reason = "SCOPE_EXCEEDED"
	ReasonSubjectScopeUnknown         Reason = "SUBJECT_SCOPE_UNKNOWN"
	ReasonSubjectTokenInvalid         Reason = "SUBJECT_TOKEN_INVALID"
	ReasonSubjectTokenExpired         Reason = "SUBJECT_TOKEN_EXPIRED"
	ReasonSubjectTokenTypeUnsupported Reason = "SUBJECT_TOKEN_TYPE_UNSUPPORTED"
	ReasonSubjectTokenReplayed        Reason = "SUBJECT_TOKEN_REPLAYED"
	ReasonIssuanceDenied              Reason = "ISSUANCE_DENIED"
	ReasonReplacementDenied           Reason = "REPLACEMENT_DENIED"
	ReasonReplacementLimit            Reason = "REPLACEMENT_LIMIT"
	ReasonTokenTooLarge               Reason = "TOKEN_TOO_LARGE"
	ReasonRateLimited                 Reason = "RATE_LIMITED"
	ReasonDependencyUnavailable       Reason = "DEPENDENCY_UNAVAILABLE"
	ReasonInternal                    Reason = "INTERNAL"
)
