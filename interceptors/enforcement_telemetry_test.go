package interceptors_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers VER-21, PRIV-02.
func TestTelemetryOfWhatWouldBeRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require("test"), clientStreaming: interceptors.Exempt("the test says so")},
		interceptors.UnsafeEnforcement(unaryMethod, interceptors.EnforcePresence, "callers do not ask for the scope yet"),
		interceptors.UnsafeEnforcement(serverStreaming, interceptors.EnforceShadow, "callers send no TraT yet"),
		interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}, s.serverOption()))
	narrow, forged := d.Raw(trattest.Scope("other"), trattest.TransactionID("txn-1")), d.Broken(trattest.Forged)
	token, err := d.Verifier().Verify(narrow)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(callUnary(withToken(callContext(t), narrow), client), callServerStreaming(withToken(callContext(t), forged), client)); err != nil {
		t.Fatal(err)
	}
	s.last(t, 2, trace.SpanKindServer)
	peer := d.ID("gateway").String()
	want := map[string]map[string]any{
		"presence": {
			"txn_token.result": "would_deny", "txn_token.mode": "presence", "error.type": "INSUFFICIENT_SCOPE", "txn_chain.peer.id": peer, "txn_token.field": "scope",
			"txn_token.txn": "txn-1", "txn_token.hash": hash16(narrow), "txn_token.req_wl": peer, "txn_token.size": int64(len(narrow)),
			"txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
			"txn_chain.result":             "ok", "txn_chain.mode": "path", "txn_chain.depth": int64(0),
		},
		"shadow": {
			"txn_token.result": "would_deny", "txn_token.mode": "shadow", "error.type": "TXN_TOKEN_INVALID", "txn_chain.peer.id": peer,
			"txn_token.hash": hash16(forged),
		},
	}
	for _, span := range s.spans.Ended() {
		got := ours(span.Attributes())
		delete(got, "txn_chain.link.hash")
		mode, _ := got["txn_token.mode"].(string)
		if diff := cmp.Diff(want[mode], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
	methods := []string{"txn_token.mode=off 1", "txn_token.mode=presence 1", "txn_token.mode=shadow 1", "txn_token.mode=strict 5"}
	if diff := cmp.Diff(methods, s.points(t, "txn_token.server.methods")); diff != "" {
		t.Errorf("methods by mode (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"txn_token.result=would_deny 2"}, s.points(t, "txn_token.server.verification.duration")); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		`"level":"WARN","msg":"TraT guard lets calls of a method through that break its rule","rpc.method":"grpc.testing.TestService/UnaryCall","mode":"presence","why":"callers do not ask for the scope yet"`,
		`"rpc.method":"grpc.testing.TestService/StreamingOutputCall","mode":"shadow","why":"callers send no TraT yet"`,
		`"msg":"TraT guard let a call through that it would refuse in strict mode","event.name":"txn_token.verification.would_fail","error.type":"INSUFFICIENT_SCOPE","txn_token.result":"would_deny","txn_token.mode":"presence"`,
		`"txn_token.txn":"txn-1"`, `"txn_token.fingerprint":"` + hash43(forged) + `"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, s.log.String())
		}
	}
}

// An audit of a chain log must find nothing wrong with a guard that required no chain.
//
// Covers VER-21.
func TestTheChainLogOfAMethodThatIsNotStrict(t *testing.T) {
	d := trattest.New(t, domainName)
	log := &memoryLog{}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope(), inMode(interceptors.EnforcePresence), interceptors.WithChainLog(log)), &backend{}))
	if err := callUnary(withChain(callContext(t), d.Token(), ""), client); err != nil {
		t.Fatal(err)
	}
	records := log.take()
	if len(records) != 1 || records[0].Mode != callchain.ModeOff || records[0].Result != "missing" || records[0].Reason != "" || records[0].Chain != nil {
		t.Errorf("records %+v", records)
	}
}
