package repotest

const (
	module = "github.com/grpc-trat/grpc-trat/"
	otel   = "go.opentelemetry.io/otel/"
)

// layers is the architecture: each package of ours and the packages of ours that it may
// import in code that is not a test. Paths are relative to the module; "dir/..." stands for
// dir and what is below it. A package that no entry covers fails the test, so that a new
// package begins with the question of where it belongs.
//
// Some entries are of packages that are yet to come; the layering was decided as a whole.
var layers = map[string][]string{
	// The token, and the identities of connections: these stand alone.
	"trat":             {},
	"spiffecreds":      {"internal/svidleaf"},
	"internal/semconv": {},
	"authzen":          {"internal/outbound", "internal/token68"},
	"gen/...":          {"gen/..."},

	// What shows an audit sees its result and nothing of how it was made.
	"trat/callchain/chainaudit/render": {"trat/callchain/chainaudit"},
	// Where inputs are sorted: it knows bytes and keys, and nothing of what they are.
	"trat/callchain/chainaudit/internal/spool": {},

	"trat/callchain":            {"trat", "internal/svidleaf"},
	"trat/callchain/chainlog":   {"trat", "trat/callchain", "internal/hashchain", "internal/semconv"},
	"trat/callchain/chainaudit": {"trat", "trat/callchain", "trat/callchain/chainlog", "trat/callchain/chainaudit/internal/spool", "internal/semconv"},
	"trat/replay":               {"trat"},
	"trat/replay/...":           {"trat", "trat/replay"},
	"trat/tratotel":             {"trat", "internal/semconv"},
	"trat/trattest":             {"trat", "trat/callchain", "spiffecreds", "internal/devauthority"},
	"internal/grpcerr":          {"trat", "gen/..."},
	"internal/headersize":       {"trat", "trat/callchain"},
	"internal/rules":            {"trat", "trat/callchain", "spiffecreds", "gen/...", "internal/expression", "internal/rules/...", "internal/yamlfile"},
	// What who asks for a transaction needs of rules: no expressions, and no files.
	"internal/rules/binding": {"trat", "gen/...", "internal/rules/options", "internal/rules/syntax"},
	"internal/rules/options": {"gen/..."},
	"internal/rules/syntax":  {"trat"},
	// What all that evaluates expressions has in common.
	"internal/expression":   {"trat"},
	"internal/yamlfile":     {"trat"},
	"internal/keys":         {"trat"},
	"internal/devauthority": {},
	"internal/hashchain":    {"trat", "internal/semconv"},
	"internal/outbound":     {},
	"internal/protoset":     {"gen/..."},
	"internal/svidleaf":     {},
	"internal/token68":      {},
	"internal/samejson":     {},
	"internal/seats":        {},

	// The three libraries, side by side: none knows another.
	"interceptors": {
		"trat", "trat/callchain", "trat/replay", "spiffecreds", "gen/...",
		"authzen", "internal/grpcerr", "internal/headersize", "internal/seats", "internal/semconv", "internal/rules",
	},
	"client": {
		"trat", "trat/callchain", "spiffecreds", "gen/...",
		"internal/grpcerr", "internal/headersize", "internal/semconv", "internal/rules/binding",
	},
	"server": {
		"trat", "trat/callchain", "trat/replay", "spiffecreds", "gen/...",
		"server/policy", "server/subject", "authzen",
		"internal/grpcerr", "internal/semconv", "internal/keys", "internal/rules", "internal/samejson", "internal/seats", "internal/token68",
	},
	// Where audit records go: beside the server, which knows only the interface.
	"server/auditlog": {"trat", "server", "internal/hashchain", "internal/semconv"},
	"server/policy":   {"trat", "trat/replay", "spiffecreds", "internal/rules", "internal/rules/binding", "internal/samejson", "internal/yamlfile", "server/policy/internal/..."},
	// The expressions of policies: all that knows the expression language.
	"server/policy/internal/expr": {"trat", "internal/expression"},
	// Tables of what policies should decide: for tools, no part of deciding.
	"server/policy/policytest": {"trat", "internal/samejson", "server/policy", "internal/yamlfile"},
	"server/subject":           {"trat", "trat/replay", "spiffecreds", "internal/outbound", "internal/rules", "internal/token68"},

	"internal/httptoken": {"trat", "spiffecreds", "gen/...", "internal/grpcerr", "internal/outbound", "internal/semconv"},
	// What the tests of server and of what is in front of it share.
	"internal/servertest": {
		"trat", "trat/callchain", "trat/replay", "spiffecreds", "gen/...", "authzen", "server", "server/policy", "server/subject",
		"internal/keys", "internal/devauthority",
	},
	"internal/chaintest": {"trat", "trat/callchain", "trat/callchain/chainlog", "internal/devauthority"},
	"internal/telemetry": {"internal/semconv"},
	"internal/config":    {"trat", "authzen", "server", "server/auditlog", "server/policy", "server/subject", "internal/outbound", "internal/protoset"},

	// Programs and tools of the repository.
	"cmd/...":              {"..."},
	"internal/conformance": {},
	"internal/repotest":    {},

	// What an adopter can do, the example must be able to do with the same means.
	"examples/...": {"examples/...", "trat", "trat/...", "spiffecreds", "interceptors", "client", "server", "server/...", "gen/..."},
}

// A ban forbids some packages to reach another one, through whatever they import.
type ban struct {
	from    []string // packages of ours, as in layers
	except  []string
	reach   string // an import path of ours or of others, as in layers
	because string
}

var bans = []ban{
	{
		from:    []string{"trat/...", "interceptors", "client", "server/..."},
		except:  []string{"trat/trattest", "trat/tratotel"},
		reach:   otel + "sdk/...",
		because: "which telemetry SDK a program uses is the program's choice",
	},
	{
		// cmd/tratd is a program and sets up the SDK, through internal/telemetry. It is
		// listed here only for the authority.
		from:    []string{"trat/...", "interceptors", "client", "server/...", "cmd/tratd"},
		except:  []string{"trat/trattest", "trat/tratotel"},
		reach:   module + "internal/devauthority",
		because: "what ships must not be able to make identities for itself",
	},
	{
		from:    []string{"trat", "trat/callchain/..."},
		reach:   "google.golang.org/grpc/...",
		because: "the token does not depend on what carries it",
	},
	{
		from:    []string{"interceptors"},
		reach:   module + "client",
		because: "a guard that could ask the token service would ask it inside a request",
	},
	{
		from:    []string{"interceptors"},
		reach:   module + "server/...",
		because: "what verifies must not hold what issues",
	},
	{
		from:    []string{"interceptors", "client"},
		reach:   module + "internal/hashchain",
		because: "who writes no log links nothing that locks, rotates and syncs files",
	},
	{
		from:    []string{"client", "internal/rules/binding"},
		reach:   "cel.dev/cel-go/...",
		because: "who asks for a transaction evaluates no expressions",
	},
	{
		from:    []string{"client", "internal/rules/binding"},
		reach:   "go.yaml.in/yaml/...",
		because: "who asks for a transaction reads no policies and no overlays",
	},
	{
		from:    []string{"server", "internal/...", "cmd/tratd"},
		reach:   module + "server/policy/policytest",
		because: "what decides does not carry its tests",
	},
	{
		from:    []string{"..."},
		except:  []string{"cmd/..."},
		reach:   module + "cmd/...",
		because: "programs are not libraries",
	},
	{
		from:    []string{"..."},
		except:  []string{"examples/..."},
		reach:   module + "examples/...",
		because: "examples are read, not imported",
	},
}
