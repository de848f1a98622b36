package httptoken

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

// keysCaching lets a copy of the key set live for a second. A new key is published two
// seconds before it signs (internal/keys.DefaultLead), and a key that failed is withdrawn
// by publishing: whoever reads a copy of a second ago still has every key that signs now,
// with a second to spare for the way, and whoever reads an older one may refuse good tokens
// or accept bad ones.
const keysCaching = "max-age=1, must-revalidate"

// metadataCaching: what is in it changes with a restart only.
const metadataCaching = "max-age=300"

// publishedKeys is the JWK Set (RFC 7517 section 5).
func (h *handler) publishedKeys(r *http.Request) httpResponse {
	jwks, _ := h.keys.Snapshot()
	digest := sha256.Sum256(jwks)
	return conditional(r, httpResponse{
		status: http.StatusOK,
		header: http.Header{
			"Content-Type":  {"application/jwk-set+json"},
			"Cache-Control": {keysCaching},
			"Etag":          {entityTag(digest)},
		},
		body: jwks,
	})
}

// metadata is what of RFC 8414 section 2 is true of the token service.
type metadata struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
	JWKSURI       string `json:"jwks_uri"`
	// ResponseTypes is empty, there being no authorization endpoint. It is there all the
	// same, because section 2 requires it.
	ResponseTypes []string `json:"response_types_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
}

func metadataOf(issuer, base string) httpResponse {
	resp := jsonResponse(http.StatusOK, metadata{
		Issuer:        issuer, // as configured, byte for byte (RFC 8414 section 3.3)
		TokenEndpoint: base + tokenPath,
		JWKSURI:       base + keysPath,
		ResponseTypes: []string{},
		GrantTypes:    []string{trat.GrantType},
		AuthMethods:   []string{"tls_client_auth"}, // RFC 8705 section 2.1
	})
	resp.header = http.Header{
		"Cache-Control": {metadataCaching},
		"Etag":          {entityTag(sha256.Sum256(resp.body))},
	}
	return resp
}

// serviceMetadata is the metadata of RFC 8414.
func (h *handler) serviceMetadata(r *http.Request) httpResponse { return conditional(r, h.metadata) }

// entityTag is a strong one (RFC 9110 section 8.8.3), the same at all replicas for the
// same content.
func entityTag(digest [sha256.Size]byte) string {
	return `"` + hex.EncodeToString(digest[:16]) + `"`
}

// conditional turns a into 304 for a caller that has it already (RFC 9110 section 13.1.2).
func conditional(r *http.Request, resp httpResponse) httpResponse {
	tag := resp.header.Get("Etag")
	for value := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		value = strings.TrimSpace(value)
		if value == "*" || strings.TrimPrefix(value, "W/") == tag {
			return httpResponse{status: http.StatusNotModified, header: http.Header{
				"Cache-Control": resp.header["Cache-Control"],
				"Etag":          resp.header["Etag"],
			}}
		}
	}
	return resp
}
