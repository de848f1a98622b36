package devauthority_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
)

// socketDir is short enough for a socket path, which t.TempDir may not be.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wl") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T, a *devauthority.Authority) (addr string) {
	t.Helper()
	addr, err := a.Listen(socketDir(t), "orders", orders)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func dial(t *testing.T, addr string) *workloadapi.Client {
	t.Helper()
	client, err := workloadapi.New(testContext(t), workloadapi.WithAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// stream opens FetchX509SVID without go-spiffe's client in between.
func stream(t *testing.T, addr string, md metadata.MD) grpc.ServerStreamingClient[workload.X509SVIDResponse] {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchX509SVID(
		metadata.NewOutgoingContext(testContext(t), md), &workload.X509SVIDRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var header = metadata.Pairs("workload.spiffe.io", "true")

func TestWorkloadAPIServesSVIDAndBundles(t *testing.T) {
	a := newAuthority(t)
	partner, err := devauthority.New(spiffeid.RequireTrustDomainFromString("partner.test"))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Federate(partner.Bundle()); err != nil {
		t.Fatal(err)
	}
	client := dial(t, listen(t, a))

	x509Context, err := client.FetchX509Context(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := a.X509SVID(orders)
	if err != nil {
		t.Fatal(err)
	}
	if got := x509Context.DefaultSVID(); got.ID != orders || !got.Certificates[0].Equal(want.Certificates[0]) {
		t.Errorf("got the SVID of %v", got.ID)
	}
	bundles, err := client.FetchX509Bundles(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []interface {
		Has(spiffeid.TrustDomain) bool
		Len() int
	}{x509Context.Bundles, bundles} {
		if set.Len() != 2 || !set.Has(domain) || !set.Has(partner.TrustDomain()) {
			t.Errorf("bundles: %v", set)
		}
	}
}

func TestWorkloadAPIWithoutOtherProfiles(t *testing.T) {
	a := newAuthority(t)
	client := dial(t, listen(t, a))
	_, errJWT := client.FetchJWTSVID(testContext(t), jwtsvid.Params{Audience: "a"})
	_, errJWTBundles := client.FetchJWTBundles(testContext(t))
	_, errWIT := client.FetchWITSVID(testContext(t), "")
	for _, err := range []error{errJWT, errJWTBundles, errWIT} {
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("error %v, want UNIMPLEMENTED", err)
		}
	}
}

func TestWorkloadAPIRequiresTheSecurityHeader(t *testing.T) {
	a := newAuthority(t)
	addr := listen(t, a)
	for name, md := range map[string]metadata.MD{
		"none":  {},
		"false": metadata.Pairs("workload.spiffe.io", "false"),
		"two":   metadata.Pairs("workload.spiffe.io", "true", "workload.spiffe.io", "true"),
	} {
		if _, err := stream(t, addr, md).Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: error %v, want INVALID_ARGUMENT", name, err)
		}
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = workload.NewSpiffeWorkloadAPIClient(conn).FetchJWTSVID(testContext(t), &workload.JWTSVIDRequest{})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("unary: error %v, want INVALID_ARGUMENT", err)
	}
}

func TestWorkloadAPIPushesRotation(t *testing.T) {
	ft := newFakeTime()
	a := newAuthority(t, devauthority.WithClock(ft.Now), devauthority.WithTimer(ft.Timer),
		devauthority.WithSVIDLifetime(time.Minute))
	s := stream(t, listen(t, a), header)
	recv := func() *workload.X509SVID {
		t.Helper()
		answer, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetSvids()[0]
	}
	first := recv()

	<-ft.armed
	ft.Advance(30 * time.Second)
	second := recv()
	if bytes.Equal(first.GetX509Svid(), second.GetX509Svid()) {
		t.Error("the same SVID was sent again at half life")
	}
	a.Rotate()
	third := recv()
	if bytes.Equal(second.GetX509Svid(), third.GetX509Svid()) {
		t.Error("the same SVID was sent again after Rotate")
	}
	if err := a.RotateCA(); err != nil {
		t.Fatal(err)
	}
	fourth := recv()
	if len(fourth.GetBundle()) <= len(third.GetBundle()) {
		t.Error("the new CA is not in the bundle")
	}
	a.DropOldCAs()
	if fifth := recv(); len(fifth.GetBundle()) >= len(fourth.GetBundle()) {
		t.Error("the old CA is still in the bundle")
	}
}

func TestConduct(t *testing.T) {
	a := newAuthority(t)
	addr := listen(t, a)
	for conduct, code := range map[devauthority.Conduct]codes.Code{
		devauthority.NoIdentity: codes.PermissionDenied,
		devauthority.Cancel:     codes.Canceled,
	} {
		a.SetConduct(conduct)
		if _, err := stream(t, addr, header).Recv(); status.Code(err) != code {
			t.Errorf("conduct %v: error %v, want %v", conduct, err, code)
		}
	}
	a.SetConduct(devauthority.Garbage)
	if _, err := dial(t, addr).FetchX509SVID(testContext(t)); err == nil || status.Code(err) != codes.Unknown {
		t.Errorf("garbage: error %v, want one of parsing", err)
	}

	a.SetConduct(devauthority.Silence)
	silent, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(t, addr).FetchX509SVID(silent); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("silence: error %v, want DEADLINE_EXCEEDED", err)
	}
	s := stream(t, addr, header)
	a.SetConduct(devauthority.Answer)
	if _, err := s.Recv(); err != nil {
		t.Errorf("after silence: %v", err)
	}
	a.DropStreams()
	if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("dropped: error %v, want UNAVAILABLE", err)
	}
}

func TestStopAndListenAgain(t *testing.T) {
	a := newAuthority(t)
	dir := socketDir(t)
	addr, err := a.Listen(dir, "orders", orders)
	if err != nil {
		t.Fatal(err)
	}
	s := stream(t, addr, header)
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(addr); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err == nil {
		t.Error("the stream outlived the endpoint")
	}
	if a.Stop(addr) == nil {
		t.Error("stopped twice")
	}
	again, err := a.Listen(dir, "orders", orders)
	if err != nil || again != addr {
		t.Fatalf("Listen = %q, %v, want %q", again, err, addr)
	}
	if _, err := stream(t, addr, header).Recv(); err != nil {
		t.Error(err)
	}
}

func TestListenReplacesOnlyAStaleSocket(t *testing.T) {
	a := newAuthority(t)
	dir := socketDir(t)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "stale.sock")})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(dir, "stale", orders); err != nil {
		t.Errorf("stale socket: %v", err)
	}
	if _, err := a.Listen(dir, "stale", orders); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("socket in use: %v", err)
	}
	file := filepath.Join(dir, "file.sock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(dir, "file", orders); err == nil {
		t.Error("a file was replaced")
	}
}

func TestListenRefusesUnsafePlaces(t *testing.T) {
	a := newAuthority(t)
	base := socketDir(t)
	in := func(name string) string { return filepath.Join(base, name) }
	err := errors.Join(
		os.Mkdir(in("group"), 0o700), os.Chmod(in("group"), 0o750),
		os.Mkdir(in("good"), 0o700), os.Symlink(in("good"), in("link")),
		os.WriteFile(in("file"), nil, 0o700),
	)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ what, dir, name string }{
		{"others may enter", in("group"), "orders"},
		{"symbolic link", in("link"), "orders"},
		{"not a directory", in("file"), "orders"},
		{"no parent", in("none/none"), "orders"},
		{"path too long", in("good"), strings.Repeat("x", 120)},
		{"empty name", in("good"), ""},
		{"name leads out", in("good"), "../orders"},
		{"name is the parent", in("good"), ".."},
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Mkdir(in("theirs"), 0o700), os.Chown(in("theirs"), 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, struct{ what, dir, name string }{"another's", in("theirs"), "orders"})
	}
	for _, tt := range tests {
		if addr, err := a.Listen(tt.dir, tt.name, orders); err == nil {
			t.Errorf("%s: Listen = %q", tt.what, addr)
		}
	}
	if _, err := a.Listen(in("new"), "orders", orders); err != nil {
		t.Errorf("directory to be made: %v", err)
	}
	if info, err := os.Stat(in("new")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made with mode %v, %v", info.Mode(), err)
	}
	if _, err := a.Listen(in("good"), "orders", spiffeid.RequireFromString("spiffe://other.test/x")); err == nil {
		t.Error("foreign identity served")
	}
}
