package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/config"
)

// shopSet is the descriptor set of the shop's services.
func shopSet() ([]byte, error) {
	set := new(descriptorpb.FileDescriptorSet)
	for _, file := range []protoreflect.FileDescriptor{
		descriptorpb.File_google_protobuf_descriptor_proto, durationpb.File_google_protobuf_duration_proto,
		tratv1.File_trat_v1_rules_proto, shopv1.File_shop_v1_shop_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	return proto.Marshal(set)
}

func TestThePolicyIsHeldToTheDescriptorSets(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const orders = `version: 1
details: {action: string, sku: string, quantity: int, amount_cents: int}
rules:
  - name: orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [order.create]
    tctx: {action: details.action, sku: details.sku, quantity: details.quantity, amount_cents: details.amount_cents}
    satisfies: [/shop.v1.OrdersService/CreateOrder]
`
	const configuration = minimal + "subject_tokens: {self_signed: {replay_store: memory}}\n"
	set, err := shopSet()
	if err != nil {
		t.Fatal(err)
	}
	write("shop.binpb", set)
	const problem = "policy: line 9: rule \"orders\": satisfies: /shop.v1.OrdersService/CreateOrder: "
	for name, tc := range map[string]struct {
		config, policy, want string
	}{
		"with the set":    {configuration + "descriptors: [shop.binpb]\n", orders, ""},
		"without it":      {configuration, orders, problem + "cannot be checked: there are no descriptor sets"},
		"without a scope": {configuration + "descriptors: [shop.binpb]\n", strings.Replace(orders, "[order.create]", "[order.read]", 1), problem + "demands the scope"},
		"beside a bad configuration": {
			configuration + "descriptors: [shop.binpb]\nx: 1\n", strings.Replace(orders, "sku: details.sku, ", "", 1),
			problem + `the rule does not make tctx.sku, which its field "sku" is bound to`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := write("tratd.yaml", []byte(tc.config))
			write("policy.yaml", []byte(tc.policy))
			_, err := config.Load(path, config.WithPolicy())
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
