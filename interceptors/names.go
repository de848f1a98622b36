package interceptors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	wildcard = "*"
	// healthService needs no token: its callers are kubelets, load balancers and
	// grpc-go's own client-side health checking, which act in no transaction.
	healthService = "grpc.health.v1.Health"
	healthPrefix  = "/" + healthService + "/"
	healthWhy     = "gRPC health checking acts in no transaction"
)

// isHealth reports whether fullMethod is one of the gRPC health service. Other names
// below the service's do not count: a handler for unknown services would be reached
// through them.
func isHealth(fullMethod string) bool {
	switch fullMethod {
	case healthPrefix + "Check", healthPrefix + "List", healthPrefix + "Watch":
		return true
	}
	return false
}

// splitKey splits "/pkg.Service/Method" or "/pkg.Service/*".
func splitKey(key string) (service, method string, err error) {
	rest, rooted := strings.CutPrefix(key, "/")
	service, method, found := strings.Cut(rest, "/")
	if !rooted || !found || !validName(service, true) || (method != wildcard && !validName(method, false)) {
		return "", "", fmt.Errorf(`%q is neither "/pkg.Service/Method" nor "/pkg.Service/*"`, key)
	}
	return service, method, nil
}

// names reports whether the key of service and method, as splitKey returned them, covers
// fullMethod.
func names(service, method, fullMethod string) bool {
	of, name, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	return of == service && (method == wildcard || method == name)
}

// exactMethod checks that fullMethod is one method and no wildcard.
func exactMethod(fullMethod string) error {
	_, method, err := splitKey(fullMethod)
	if err != nil || method == wildcard {
		return fmt.Errorf(`%q is not "/pkg.Service/Method"`, fullMethod)
	}
	return nil
}

// validName reports whether s is a protobuf identifier, or with dots a qualified one.
func validName(s string, dots bool) bool {
	if dots {
		for part := range strings.SplitSeq(s, ".") {
			if !validName(part, false) {
				return false
			}
		}
		return true
	}
	for i, c := range []byte(s) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// sortedKeys returns m's keys in order, so that reports of several problems are
// stable.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
