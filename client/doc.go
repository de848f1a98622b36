// Package client talks to a Transaction Token Service (TTS) for a workload that
// starts transactions or verifies them.
//
// A [Client] does three things over one SPIFFE mTLS connection, pinned to the
// exact SPIFFE ID of the TTS:
//
//   - [Client.Exchange] turns a subject token (an access token, an ID token, a
//     statement of the workload's own) into a verified Transaction Token (TraT):
//     RFC 8693 with the parameters of draft-ietf-oauth-transaction-tokens,
//     section 11.
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
// # Failure
//
// Everything fails closed. Errors of Exchange keep the status of the TTS
// (status.FromError) and its Reason (trat.ReasonOf, errors.Is); neither errors nor
// logs nor spans hold a token or a claim.
package client
