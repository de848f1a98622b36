package render

import "github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"

// advice tells a person what a kind of finding means and what to do about it.
type advice struct{ means, do string }

// recordMissing is the advice on a call that its server received, and has no record of.
var recordMissing = advice{
	"The server signed that it went on because of this call, so it received it, and its log, which is here, has no record and does not say that any was lost. The record was lost or removed, or somebody else holds that server's key and signed in its name.",
	"Give the audit the chain logs of all replicas of that server. If they are complete, find out who could write the log, and replace the server's key.",
}

// adviceOn returns the advice on f.
func adviceOn(f *chainaudit.Finding) advice {
	if f.Kind == chainaudit.KindLinkWithoutRecord && f.Severity == chainaudit.SeverityAlarm {
		return recordMissing
	}
	if a, ok := advices[f.Kind]; ok {
		return a
	}
	return advice{
		"The records of this call do not fit together.",
		"Compare the records of the servers involved.",
	}
}

var advices = map[chainaudit.Kind]advice{
	chainaudit.KindHopWithoutLink: {
		"The tracing backend shows a call between two workloads, and nobody signed for it. Either the call carried no transaction token, or the caller left its link out.",
		"Find out whether the method may be called without a chain. If not, see why its server did not refuse; if so, there is nothing to do.",
	},
	chainaudit.KindLinkWithoutRecord: {
		"A workload signed that it makes this call, and no record of the server that it names is here: the server's log is missing or was withheld, it lost records, somebody removed one, or, if the server did not go on because of it, the call never arrived.",
		"Give the audit the chain logs of all replicas of that server. If they are complete, see whether the server crashed or lost records then, or why the call did not arrive.",
	},
	chainaudit.KindTwoRoots: {
		"A transaction begins once, with the workload that requested its token. Here somebody else began it again, or servers do not agree on who that workload is.",
		"Look at who made the second beginning. If it is not the requester of the token, treat the token as stolen.",
	},
	chainaudit.KindWrongAudience: {
		"A link is made for exactly one server. Another one accepted it, so that one does not check what it must check, or its record was changed.",
		"Examine the server that accepted it: its version, its configuration, and who can write its log.",
	},
	chainaudit.KindMissingParent: {
		"The caller says that it acted because of an earlier call, and no server recorded that one. What came before is unknown.",
		"Give the audit the chain logs of the caller. If they are complete, the caller claims a past that nobody has seen.",
	},
	chainaudit.KindDepthGap: {
		"Every link counts how many came before it. Here the count jumps, so a call in between was left out or the count is made up.",
		"Examine the workload that signed the link. Correct software cannot produce this.",
	},
	chainaudit.KindForgedParent: {
		"The caller continues the chain of a call that was made to somebody else. It shows a past that is not its own.",
		"Treat the workload that signed the link as compromised until it is explained.",
	},
	chainaudit.KindSplicedLink: {
		"A link was signed for one token and turns up with another: somebody moved it between transactions.",
		"Treat the workload that presented it as compromised, and see why its server accepted it.",
	},
	chainaudit.KindSignatureInvalid: {
		"The proof that stands in the record is not good: the signature, or the certificate at the time it was made. A server that checks would have refused the call, so either it does not check or the record was changed later.",
		"Check the log's own chain of lines, and that the audit has the bundle of that time. If both are in order, examine the server.",
	},
	chainaudit.KindAcceptedTwice: {
		"The same link, which is good for one call, was accepted more than once: the call was replayed, or a proxy in between sent it again.",
		"See which servers accepted it. If a proxy retries on its own, switch that off for the method, or protect the method with once.",
	},
	chainaudit.KindRefused: {
		"A server turned this call away, which is its job. What was asked for did not happen.",
		"Nothing, if it is single. Many from one workload are an attack or a wrong configuration.",
	},
	chainaudit.KindTokenNotIssued: {
		"The token service has no record of having issued the token that was used here, though servers accepted its signature.",
		"Give the audit the token service's complete log. If it is complete, treat the signing key as stolen and replace it.",
	},
	chainaudit.KindTraceMismatch: {
		"The trace that arrived with the call is not the one its caller signed. A proxy rewrote the header, or somebody tried to hang the call on another trace.",
		"If a proxy or mesh restarts traces there, this is expected. If not, do not believe the trace: believe the tree on this page.",
	},
	chainaudit.KindSpanMismatch: {
		"A span in the tracing backend says something else about the call than its caller signed. Spans are not protected, links are.",
		"Believe the link. Find out who writes such spans.",
	},
	chainaudit.KindRecordMismatch: {
		"What the server wrote about the call does not agree with the signed links in the very same line, so the line was changed or the server does not tell the truth.",
		"Check the log's own chain of lines, then examine the server.",
	},
	chainaudit.KindLogDamaged: {
		"Each line of a log vouches for the line before. Here that does not hold: lines were changed, removed, moved or half written.",
		"If the log was written with a key, give that with --key-file. Otherwise find out who could write the file, and do not rely on what the file says about the time in question.",
	},
	chainaudit.KindLogCut: {
		"A server that stops writes a last line, which the log, or a run of the server within it, does not have. It is still being written, the server crashed, or the end was cut off.",
		"If the server is running and it is the end of the log, nothing. Otherwise compare with a copy kept elsewhere.",
	},
	chainaudit.KindRecordsLost: {
		"The server says itself that it could not write all records, for want of speed or disk. What is missing cannot be audited.",
		"Give the log a faster disk or a longer queue. Read missing records of that server with this in mind.",
	},
	chainaudit.KindBundleUnknown: {
		"Certificates are held to the bundle of their trust domain, and none is known here, so these signatures prove nothing yet.",
		"Give the audit the bundle with --bundle.",
	},
	chainaudit.KindBundleDisputed: {
		"Not all servers trusted the same authorities at the time. In the middle of a rotation that is normal; otherwise one of them trusts somebody whom the others do not know.",
		"Give the audit the bundle that you know is right, with --bundle.",
	},
	chainaudit.KindTraceCrowded: {
		"So many transactions share one trace that spans which name no transaction were not compared with all of them.",
		"See who has begun the transactions of that trace; let each transaction have a trace of its own.",
	},
	chainaudit.KindInputUnreadable: {
		"Some lines of a trace export or of the token service's log cannot be read and were left out.",
		"See whether the file is of the right kind and complete.",
	},
}
