package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

var orders = spiffeid.RequireFromString("spiffe://shop.test/orders")

// everything is a configuration with all parts turned on that the embedded authority can
// serve.
const everything = configText + `
http: {listen: 127.0.0.1:0, base_url: https://tts.shop.test/oauth}
access_evaluation: [{name: pdp, url: PDP, bearer_token_file: pdp.token, insecure_loopback_http: true}]
audit: {file: audit.log, chain_key_file: chain.key, pseudonym_key_file: chain.key}
policy_reload: 1s
`

const everyPolicy = `
version: 1
details: {order_id: any}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [order.create]}
    tctx: {order_id: details.order_id}
    access_evaluation: {pdp: pdp}
  - name: orders-narrows
    requester: spiffe://shop.test/orders
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    replacement: {scopes: [order.create]}
`

const (
	chainKey = "6162636465666768696a6b6c6d6e6f707172737475767778797a303132333435"
	pdpToken = "pdp-bearer-token"
)

// writeEverything writes the files and returns the path of the configuration.
func writeEverything(t *testing.T, issuer, pdp string) string {
	t.Helper()
	text := strings.NewReplacer("ISSUER", issuer, "PDP", pdp, "replay_store: memory}", "replay_store: memory}\n  txn_token: true").Replace(everything)
	path := writeFiles(t, text, everyPolicy)
	for name, secret := range map[string]string{"pdp.token": pdpToken, "chain.key": chainKey} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// newPDP is a policy decision point that agrees while agrees says so.
func newPDP(t *testing.T, agrees *atomic.Bool) string {
	t.Helper()
	pdp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+pdpToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]bool{"decision": agrees.Load()})
	}))
	t.Cleanup(pdp.Close)
	return pdp.URL
}

// httpClient calls the HTTP form of tratd at address as workload id.
func httpClient(t *testing.T, authority *devauthority.Authority, id spiffeid.ID, address string) *http.Client {
	t.Helper()
	source := authority.Source(id)
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(tts), spiffecreds.WithHTTP1())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		conn, _, err := creds.ClientHandshake(ctx, "tts.shop.test", raw)
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// body reads an answer of the given status.
func body(t *testing.T, response *http.Response, err error, status int) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", response.StatusCode, status, text)
	}
	return text
}

func connect(t *testing.T, authority *devauthority.Authority, id spiffeid.ID, address string) *grpc.ClientConn {
	t.Helper()
	_, creds := credentialsOf(t, authority, id)
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func orderRequest(subjectToken string, subjectTokenType client.SubjectTokenType) *tratv1.ExchangeRequest {
	return &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           "shop.test",
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       subjectToken,
		SubjectTokenType:   string(subjectTokenType),
		RequestDetails:     `{"order_id": "o-1"}`,
	}
}

// Covers TTS-02, TTS-42, TTS-44, PRIV-01, PRIV-03, REPL-07.
func TestBothFrontEndsOfOneService(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	authority, login := newAuthority(t, tts), newOIDCIssuer(t)
	var agrees atomic.Bool
	agrees.Store(true)
	path := writeEverything(t, login.url, newPDP(t, &agrees))
	daemon := start(ctx, t, path)
	httpAddress, _ := daemon.logs.wait(ctx, t, "serving")["http_address"].(string)
	conn := connect(t, authority, gateway, daemon.address)
	waitServing(ctx, t, conn)
	overHTTP := httpClient(t, authority, gateway, httpAddress)

	response, err := overHTTP.Get("https://tts.shop.test/oauth/jwks")
	keys, err := trat.ParseJWKS(body(t, response, err, http.StatusOK))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := trat.NewVerifier("shop.test", "https://tts.shop.test", keys)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := tratv1.NewTokenServiceClient(conn).Exchange(ctx, orderRequest(login.token(t, "orders:write"), client.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	byGRPC, err := verifier.Verify(answer.GetAccessToken())
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"grant_type":           {trat.GrantType},
		"audience":             {"shop.test"},
		"scope":                {"order.create"},
		"requested_token_type": {trat.TokenType},
		"subject_token":        {login.token(t, "orders:write")},
		"subject_token_type":   {trat.TokenTypeAccessToken},
		"request_details":      {`{"order_id": "o-1"}`},
	}
	response, err = overHTTP.PostForm("https://tts.shop.test/oauth/token", form)
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body(t, response, err, http.StatusOK), &granted); err != nil {
		t.Fatal(err)
	}
	byHTTP, err := verifier.Verify(granted.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if byHTTP.Subject() != byGRPC.Subject() || byHTTP.RequestingWorkload() != gateway.String() || byHTTP.TransactionContext() != byGRPC.TransactionContext() {
		t.Errorf("over HTTP %v, over gRPC %v", byHTTP.Claims(), byGRPC.Claims())
	}

	calls := servertest.Calls{Identity: func(id spiffeid.ID) servertest.Identity { return authority.Source(id) }, Clock: time.Now}
	replacement := orderRequest(answer.GetAccessToken(), client.SubjectTokenType(trat.TokenType))
	replacement.CallChain = calls.Received(t, byGRPC, callchain.ModePath, nil, gateway, orders).Receipt()
	replaced, err := tratv1.NewTokenServiceClient(connect(t, authority, orders, daemon.address)).Exchange(ctx, replacement)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := verifier.Verify(replaced.GetAccessToken()); err != nil || token.TransactionID() != byGRPC.TransactionID() || token.RequestingWorkload() != orders.String() {
		t.Errorf("replacement: %v, %v", token, err)
	}
	agrees.Store(false)
	_, err = tratv1.NewTokenServiceClient(conn).Exchange(ctx, orderRequest(login.token(t, "orders:write"), client.AccessToken))
	if reason, _ := grpcerr.ReasonFrom(err); reason != trat.ReasonIssuanceDenied {
		t.Errorf("the PDP disagrees: %v", err)
	}

	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
	checkAuditLog(t, filepath.Join(filepath.Dir(path), "audit.log"), 4)
	for _, secret := range []string{"eyJ", "alice", pdpToken, chainKey, chainKey[:16]} {
		if strings.Contains(daemon.logs.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, daemon.logs)
		}
	}
}

// checkAuditLog verifies the log, in which so many decisions are, with its key.
func checkAuditLog(t *testing.T, path string, decisions int64) {
	t.Helper()
	key := []byte("abcdefghijklmnopqrstuvwxyz012345")
	report, err := auditlog.VerifyFiles([]string{path}, auditlog.VerifyOptions{Key: key})
	if err != nil || report.Records != decisions || !report.Keyed {
		t.Errorf("audit log: %+v, %v", report, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"eyJ", "alice"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the audit log:\n%s", secret, text)
		}
	}
}

// Covers SEC-01.
func TestHTTPNeedsAnSVIDToo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	newAuthority(t, tts)
	daemon := start(ctx, t, writeFiles(t, withoutSubjectTokens()+"http: {listen: 127.0.0.1:0}\n", noRules))
	address, _ := daemon.logs.wait(ctx, t, "serving")["http_address"].(string)
	if response, err := http.Get("http://" + address + "/jwks"); err == nil {
		response.Body.Close()
		t.Errorf("an answer in the clear: %s", response.Status)
	}
	stranger, err := devauthority.New(trustDomain) // of the same name, with another root
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close() }()
	if response, err := httpClient(t, stranger, gateway, address).Get("https://tts.shop.test/jwks"); err == nil {
		response.Body.Close()
		t.Errorf("an answer to a stranger: %s", response.Status)
	}
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestAnAddressThatIsTakenEndsTheStart(t *testing.T) {
	newAuthority(t, tts)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out := newLogs()
	text := withoutSubjectTokens() + "http: {listen: '" + taken.Addr().String() + "'}\n"
	err = run(t.Context(), []string{"-config", writeFiles(t, text, noRules)}, out, out)
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}
