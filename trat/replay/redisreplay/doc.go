// Package redisreplay is a replay.Store in Redis or Valkey, shared by all replicas of a
// service: what one of them has accepted, no other accepts again.
//
// One command per Mark, SET key "" NX PX lifetime, which the server executes as a whole: of
// any number of marks of one key, by any number of processes, one is fresh. Everything else
// is refused: a server that is away, slow, full or read-only is an error, and callers refuse
// on errors. A mark is never sent twice, whatever the client's MaxRetries: when the answer
// gets lost the mark may have been made, which is an error too and counts as accepted from
// then on. So a key is accepted at most once, and in such a case never.
//
// # What the server must be
//
// Redis 6.2 or later or Valkey, alone, behind Sentinel or as a Cluster. New checks each of
// its masters, because a server that forgets accepts again:
//
//   - Nothing is evicted: maxmemory is not set, or maxmemory-policy is noeviction. A full
//     server then answers with an error, which is replay.ErrFull.
//   - A restart forgets nothing: there is an append-only file. With appendfsync everysec,
//     the default, a machine that fails can lose the last second, with always nothing.
//     UnsafeAllowVolatile allows a server without.
//
// These are checked at New and must stay so. What no check can see: replication is
// asynchronous, so after a failover the last marks that the new master has not got are
// forgotten. How long such a loss matters is how long keys live.
//
// A user of the server needs the permissions +set, +info and ~prefix*, in a Cluster also
// what the client itself calls there. A Ring of go-redis is refused: when a server is away
// it asks another one, where every key is fresh.
//
// # Time
//
// The server counts the lifetime of a mark from when it arrives. It is what this process's
// clock leaves until the expiry, and a margin (WithMargin). The server's clock need not be
// right, it must only not jump by more than the margin; clocks of replicas may differ by as
// much. With an expiry by the server's clock (PXAT), a server that is ahead would delete
// marks at once.
//
// # Room
//
// Nothing is kept about owners: shares would cost a second command and would have to be
// agreed on by all replicas. Whoever gets calls accepted fills the server, at the rate at
// which they are accepted; limit that rate, give the store a server of its own, and let its
// maxmemory have room for the calls of one lifetime: a mark with a 32-byte key takes about
// 170 bytes there.
//
// A store adds one round trip to each call that it guards. On one machine with two cores,
// 64 calls at a time, Redis 7.0 took 33,000 marks per second with appendfsync everysec and
// 20,000 with always.
package redisreplay
