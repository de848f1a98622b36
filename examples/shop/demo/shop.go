package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	// tokenIssuer is the "iss" of the shop's TraTs.
	tokenIssuer = "https://tts.shop.test"
	// apiAudience is the "aud" of the access tokens that the gateway takes.
	apiAudience = "https://api.shop.test"
	// svidLifetime is short, so that an attack can wait for a key to expire.
	svidLifetime = 12 * time.Second
)

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("shop.test")
	// rivalDomain is another company's.
	rivalDomain = spiffeid.RequireTrustDomainFromString("rival.test")
)

// workload returns the SPIFFE ID of one of the shop's workloads.
func workload(name string) spiffeid.ID { return spiffeid.RequireFromSegments(trustDomain, name) }

// shop is the running system: every process of it, and where each is.
type shop struct {
	programs string // directory of the built programs
	source   string // examples/shop
	scratch  string // directory for sockets and the like
	// external is the Workload API of each trust domain that has one already; the demo
	// runs an authority of its own for the others.
	external  map[spiffeid.TrustDomain]string
	outlive   time.Duration // as the option
	report    string        // file of the audit's page
	records   string        // directory of what the audit reads
	spansTo   string        // as the option
	spans     *collector
	spansAddr string
	txn       string // of the order

	processes []*process
	past      []*process             // that were stopped before the end
	sockets   map[spiffeid.ID]string // Workload API address of each identity
	addresses map[string]string      // of each service
}

// open starts everything, each process after those it needs, and says what runs.
func (s *shop) open(ctx context.Context) (string, error) {
	s.sockets, s.addresses = make(map[spiffeid.ID]string), make(map[string]string)
	var err error
	if s.spans, s.spansAddr, err = startCollector(ctx, filepath.Join(s.records, spansFile), s.spansTo); err != nil {
		return "", err
	}
	steps := []func(context.Context) error{
		func(ctx context.Context) error {
			return s.identities(ctx, trustDomain, "tts", "gateway", "orders", "stocks", "payments", "scheduler", "mallory")
		},
		func(ctx context.Context) error { return s.identities(ctx, rivalDomain, "shipping") },
		func(ctx context.Context) error { return s.run(ctx, "issuer", nil) },
		s.tokenService,
		s.openServices,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return "", err
		}
	}
	names := make([]string, len(s.processes))
	for i, p := range s.processes {
		names[i] = p.name
	}
	return strings.Join(names, ", "), nil
}

// close stops the processes; it is an error if one of them had failed.
func (s *shop) close() error {
	err := stopAll(s.processes)
	if s.spans != nil {
		err = errors.Join(err, s.spans.close())
	}
	return err
}

// tokenService runs tratd with the shop's policy, and with its configuration but for
// the ports and the file of its audit log.
func (s *shop) tokenService(ctx context.Context) error {
	audit := fmt.Sprintf("\naudit: {file: %q}\n", filepath.Join(s.records, issuanceFile))
	descriptors := filepath.Join(s.source, "shop.binpb")
	for name, more := range map[string]string{"tratd.yaml": audit, "policy.yaml": ""} {
		text, err := os.ReadFile(filepath.Join(s.source, name))
		if err != nil {
			return err
		}
		ports := strings.NewReplacer("http://127.0.0.1:8080", s.addresses["issuer"], "127.0.0.1:8443", "127.0.0.1:0", "shop.binpb", descriptors)
		//nolint:gosec // into the demo's own temporary directory
		if err := os.WriteFile(filepath.Join(s.scratch, name), []byte(ports.Replace(string(text))+more), 0o600); err != nil {
			return err
		}
	}
	if err := s.run(ctx, "tratd", s.environ("tts"), "--config", filepath.Join(s.scratch, "tratd.yaml")); err != nil {
		return err
	}
	s.addresses["tts"] = s.addresses["tratd"]
	// It serves before it signs: a key is published for two seconds first.
	err := s.healthy(ctx, workload("gateway"), s.addresses["tts"], workload("tts"))
	return errors.Join(err, s.failed(err))
}

// identities finds where each workload of one trust domain gets its SVIDs.
func (s *shop) identities(ctx context.Context, td spiffeid.TrustDomain, names ...string) error {
	address, external := s.external[td]
	if !external {
		return s.authority(ctx, td, names...)
	}
	for _, name := range names {
		s.sockets[spiffeid.RequireFromSegments(td, name)] = address
	}
	return nil
}

// authority runs `trat dev` for one trust domain.
func (s *shop) authority(ctx context.Context, td spiffeid.TrustDomain, names ...string) error {
	args := []string{
		"dev", "--trust-domain", td.Name(), "--dir", filepath.Join(s.scratch, td.Name()), "--svid-lifetime", svidLifetime.String(),
	}
	for _, name := range names {
		args = append(args, "--identity", name)
	}
	line, err := s.start(ctx, "trat dev", nil, isJSON("trust_domain"), "trat", args...)
	if err != nil {
		return err
	}
	var answer struct {
		Identities []struct {
			SPIFFEID spiffeid.ID `json:"spiffe_id"`
			Socket   string      `json:"socket"`
		} `json:"identities"`
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		return fmt.Errorf("trat dev: %w", err)
	}
	for _, id := range answer.Identities {
		s.sockets[id.SPIFFEID] = id.Socket
	}
	return nil
}

// service runs one of the shop's services, which calls the others named.
func (s *shop) service(ctx context.Context, name string, calls ...string) error {
	args := []string{
		"-listen", "127.0.0.1:0",
		"-trust-domain", trustDomain.Name(),
		"-issuer", tokenIssuer,
	}
	if slices.Contains(guarded, name) {
		args = append(args, "-chain-log", filepath.Join(s.records, chainLog(name)))
	}
	for _, peer := range append([]string{"tts"}, calls...) {
		args = append(args, "-"+peer, s.addresses[peer], "-"+peer+"-id", workload(peer).String())
	}
	return s.run(ctx, name, s.environ(name), args...)
}

// environ is what a service takes from the environment.
func (s *shop) environ(name string) []string {
	return []string{
		"SPIFFE_ENDPOINT_SOCKET=" + s.sockets[workload(name)],
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.spansAddr,
		"OTEL_BSP_SCHEDULE_DELAY=50", // milliseconds
	}
}

// run starts one of the programs that log where they serve.
func (s *shop) run(ctx context.Context, name string, env []string, args ...string) error {
	line, err := s.start(ctx, name, env, isJSON("address"), name, args...)
	if err != nil {
		return err
	}
	var record struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.addresses[name] = record.Address
	return nil
}

// start runs a program and keeps it for close.
func (s *shop) start(ctx context.Context, name string, env []string, isReady ready, program string, args ...string) (string, error) {
	p, answer, err := start(ctx, name, env, isReady, filepath.Join(s.programs, program), args...)
	if p != nil {
		s.processes = append(s.processes, p)
	}
	return answer, err
}

// failed explains an error by the process that is not running any more, if one is
// not.
func (s *shop) failed(err error) error {
	if err == nil {
		return nil
	}
	for _, p := range s.processes {
		if p.ended() {
			return p.failure(fmt.Sprintf("has ended: %v", p.err))
		}
	}
	return nil
}

// isJSON finds a line that is a JSON object with a member of that name.
func isJSON(member string) ready {
	return func(line string) (string, bool) {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(line), &object) != nil {
			return "", false
		}
		_, found := object[member]
		return line, found
	}
}

// newScratch makes a private directory with a short name: a unix socket's path may
// have little more than a hundred bytes.
func newScratch() (string, func() error, error) {
	dir, err := os.MkdirTemp("", "trat-demo-")
	if err != nil {
		return "", nil, err
	}
	if len(dir) > 60 {
		err := errors.New("the temporary directory's path is too long for unix sockets: set TMPDIR")
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
