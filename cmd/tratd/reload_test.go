//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// waitCount waits for the nth record with the given message.
func (l *logs) waitCount(ctx context.Context, t *testing.T, message string, n int) map[string]any {
	t.Helper()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if found := l.records(message); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no record %d of %q in\n%s", n, message, l)
		}
	}
}

// waitHealth follows one name of the health service until it has the given status.
func waitHealth(ctx context.Context, t *testing.T, conn *grpc.ClientConn, name string, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx) // an open Watch holds up a graceful stop
	defer cancel()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: name})
	if err != nil {
		t.Fatal(err)
	}
	for {
		answer, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetStatus() == want {
			return
		}
	}
}

func hangup(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// writeShopSet writes the descriptor set of the shop's services.
func writeShopSet(t *testing.T, path string) {
	t.Helper()
	set := new(descriptorpb.FileDescriptorSet)
	for _, file := range []protoreflect.FileDescriptor{
		descriptorpb.File_google_protobuf_descriptor_proto, durationpb.File_google_protobuf_duration_proto,
		tratv1.File_trat_v1_rules_proto, shopv1.File_shop_v1_shop_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyIsReloadedAndABadOneIsNot(t *testing.T) {
	const (
		inForce = "policy in force"
		bad     = "policy file is bad: the policy before it stays in force"
		part    = "trat.v1.TokenService/policy"
	)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	authority, login := newAuthority(t, tts), newOIDCIssuer(t)
	path := writeFiles(t, strings.Replace(configText, "ISSUER", login.url, 1)+"policy_reload: 1s\ndescriptors: [shop.binpb]\n", policyText)
	writeShopSet(t, filepath.Join(filepath.Dir(path), "shop.binpb"))
	daemon := start(ctx, t, path)
	conn := connect(t, authority, gateway, daemon.address)
	waitServing(ctx, t, conn)
	exchange := func() trat.Reason {
		t.Helper()
		_, err := tratv1.NewTokenServiceClient(conn).Exchange(ctx, orderRequest(login.token(t, "orders:write"), client.AccessToken))
		reason, _ := grpcerr.ReasonFrom(err)
		return reason
	}
	rewrite := func(text string) {
		t.Helper()
		// Put in place as a whole: it is looked at meanwhile.
		file := filepath.Join(filepath.Dir(path), "policy.yaml")
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	if reason := exchange(); reason != "" {
		t.Errorf("the first policy: %s", reason)
	}
	first := daemon.logs.waitCount(ctx, t, inForce, 1)["txn_token.policy_version"]

	// It is polled.
	rewrite(selfSignedPolicy)
	second := daemon.logs.waitCount(ctx, t, inForce, 2)["txn_token.policy_version"]
	if first == second {
		t.Errorf("both policies have the version %v", first)
	}
	if reason := exchange(); reason != trat.ReasonIssuanceDenied {
		t.Errorf("a policy that takes the rule away: %q", reason)
	}
	// And looked at when asked.
	rewrite(policyText)
	hangup(t)
	if again := daemon.logs.waitCount(ctx, t, inForce, 3)["txn_token.policy_version"]; again != first {
		t.Errorf("version %v, want %v", again, first)
	}
	waitHealth(ctx, t, conn, part, healthpb.HealthCheckResponse_SERVING)

	rewrite("version: 1\nrules: [{nam: x}]\n")
	hangup(t)
	record := daemon.logs.waitCount(ctx, t, bad, 1)
	if problem, _ := record["error"].(string); record["level"] != "ERROR" || record["txn_token.policy_version"] != first || !strings.Contains(problem, "line 2") {
		t.Errorf("record %v", record)
	}
	waitHealth(ctx, t, conn, part, healthpb.HealthCheckResponse_NOT_SERVING)
	waitHealth(ctx, t, conn, "trat.v1.TokenService", healthpb.HealthCheckResponse_SERVING)
	if reason := exchange(); reason != "" {
		t.Errorf("the last good policy is no longer in force: %s", reason)
	}
	// A policy that does not fit the configuration is bad too.
	rewrite(strings.Replace(policyText, "//shop.test/gateway", "//other.test/gateway", 1))
	hangup(t)
	daemon.logs.waitCount(ctx, t, bad, 2)

	// And so is one whose tokens the service that it names would refuse.
	rewrite(policyText + "    satisfies: [/shop.v1.StocksService/Reserve]\n")
	hangup(t)
	record = daemon.logs.waitCount(ctx, t, bad, 3)
	if problem, _ := record["error"].(string); !strings.Contains(problem, "/shop.v1.StocksService/Reserve: the rule does not make tctx.sku") {
		t.Errorf("record %v", record)
	}

	rewrite(policyText + "    satisfies: [/shop.v1.OrdersService/TrackOrder]\n")
	hangup(t)
	daemon.logs.waitCount(ctx, t, inForce, 4)
	waitHealth(ctx, t, conn, part, healthpb.HealthCheckResponse_SERVING)
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}
