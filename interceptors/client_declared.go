package interceptors

import (
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// maxDeclarations bounds what is remembered about methods. A program calls fewer, unless it
// passes on calls of methods that others name.
const maxDeclarations = 4096

// declarations is what the proto files that are linked into this program say about methods,
// as far as it matters to who calls them. A descriptor is looked at once. What the called
// service's code or an overlay says is not known here, and the service sees to it itself.
type declarations struct {
	known sync.Map // of declaration, by full method
	count atomic.Int64
}

// declaration is what stands beside one method.
type declaration struct {
	exempt bool         // its guard does not look at TraTs
	expiry rules.Expiry // zero: nothing
}

func (d *declarations) of(method string) declaration {
	known, _ := d.known.Load(method)
	found, ok := known.(declaration)
	if ok {
		return found
	}
	found = declared(method)
	if d.count.Add(1) <= maxDeclarations {
		d.known.Store(method, found)
	}
	return found
}

// endsWithToken reports whether a stream is to end when its TraT expires. It goes by what
// stands beside the method, and else by its kind.
func (d *declarations) endsWithToken(method string, desc *grpc.StreamDesc) bool {
	found := d.of(method)
	switch {
	case found.exempt:
		return false
	case found.expiry == rules.Expiry(0):
		target := rules.Target{FullMethod: method, ClientStreams: desc.ClientStreams, ServerStreams: desc.ServerStreams}
		found.expiry = target.DefaultExpiry()
	}
	return found.expiry == rules.ExpiryCloseAtExp
}

// declared is what stands beside the method, zero for nothing. A rule that is wrong is
// reported by the guard that it is for.
func declared(method string) declaration {
	name := strings.Replace(strings.TrimPrefix(method, "/"), "/", ".", 1)
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return declaration{}
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return declaration{}
	}
	rule, _, err := rules.Of(descriptor)
	if err != nil {
		return declaration{}
	}
	return declaration{exempt: rule.Exempt != "", expiry: rule.Stream.Expiry}
}
