// Package client talks to a Transaction Token Service (TTS) for a workload that
// starts transactions or verifies them.
//
// A [Client] does four things over one SPIFFE mTLS connection, pinned to the
// exact SPIFFE ID of the TTS:
//
//   - [Client.Exchange] turns a subject token (an access token, an ID token, a
//     statement of the workload's own) into a verified Transaction Token (TraT):
//     RFC 8693 with the parameters of draft-ietf-oauth-transaction-tokens,
//     section 11.
//   - [Client.Replace] exchanges the TraT that a workload received for another one of
//     the same transaction, with less scope or with parameters added (section 13.15),
//     for the calls that depend on them.
//   - It watches the TTS's verification keys. [Client.Verifier] and
//     [Client.KeySet] answer from the keys that were heard last and never fetch
//     inside a request.
//   - [Client.SignSubject] makes a self-signed subject token (section 11.2.1) for
//     transactions that no inbound credential starts, such as a timer's.
//
// A workload that only verifies TraTs needs New and Verifier:
//
//	tts, err := client.New(client.Config{ ... })
//	guard, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: tts.Verifier(), ...}, rules)
//
// # Trust
//
// Everything that decides whom to trust is a required field of [Config]: the
// address, the issuer and the SPIFFE ID of the TTS come from the workload's
// configuration and from nowhere else, never from a token, from metadata or from
// DNS (draft section 13.7). There is no discovery. A server that does not prove
// the pinned SPIFFE ID receives no byte of a request (section 13.9).
//
// # Keys
//
// The TTS sends its whole key set on every change and every 30 seconds. The last
// good set is used until its maximum age, at most [MaxKeyAge], has passed since
// the TTS was heard; then every verification fails with KEYS_UNAVAILABLE until the
// TTS is heard again. A message with another issuer, an older version, or a set
// that does not parse changes nothing. An empty set is a withdrawal: every token
// is refused. The watch reconnects for ever, at least about once a second.
//
// # Bound requests
//
// Where a service's proto file binds fields of a request to the transaction (the option
// trat.v1.bind), [DetailsFrom] makes the parameters of the transaction from the request.
//
// # Long work
//
// A TraT lives for seconds to minutes and is never lengthened. Work that takes longer is
// many transactions: a job does each unit of it by [Client.Transact], and what reads from a
// stream that ends with its TraT does so by [Client.Reopen], which opens it again in a new
// transaction. Both need a subject token for each: what the workload may do on its own is
// asked for with SignSubject, and what it may do for a user only while it has a good token
// of the user's.
//
// # Replacement
//
// A service that finds something out in the middle of a transaction, and wants those
// behind it to rely on it as on the rest of the TraT, has the TraT replaced:
//
//	func (s *pricing) Quote(ctx context.Context, r *pb.QuoteRequest) (*pb.Quote, error) {
//		priced, err := s.tts.Replace(ctx, client.Replacement{Details: details})
//		if err != nil {
//			return nil, err
//		}
//		go s.metrics.Count(ctx, ...)    // beside it: the TraT as it was received
//		return s.payments.Quote(priced, ...) // behind it: the new one
//	}
//
// The issuance policy has to allow it to this workload. The new TraT has the same txn
// and sub, names the workload as its requester, with the earlier ones in req_wl_chain,
// and does not live longer, unless policy says so.
//
// The token service wants to know how this workload came by the TraT: Replace sends it the
// receipt of the call chain that the guard has put into the context. The new TraT is bound to
// that chain (the claim chn), and calls with it begin a chain of their own.
//
// # Checkpoints
//
// A call chain has room for six links, and for as many bytes as servers take. A workload
// that may be further away from the beginning of a transaction calls [Client.Checkpoint]
// before its own calls, or gives its carrier interceptors.WithCheckpoint: at the limit, and
// only there, the TraT is replaced. The token service has then verified the links so far, and
// req_wl_chain names the workload that asked.
//
// # Retries
//
// Exchange and Replace send a call that ended with code UNAVAILABLE again, at most twice.
// Each request has a request id, the caller's or a random one, by which the token service
// knows it: what it has issued within the last five seconds it gives again, so that a
// lost answer is not a second transaction. A refusal is never sent again.
//
// # Failure
//
// Everything fails closed. Errors of Exchange keep the status of the TTS
// (status.FromError) and its Reason (trat.ReasonOf, errors.Is); neither errors nor
// logs nor spans hold a token or a claim.
package client
