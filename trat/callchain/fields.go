package callchain

// What an Error of this package is about, as its Field says: MetadataKey for what is no chain
// at all, a claim of a link, or something else that it takes.
const (
	FieldAudience = "aud"
	FieldMethod   = "rpc"
	FieldToken    = "tth"
	FieldIssuer   = "iss"
	FieldIssuedAt = "iat"
	FieldExpiry   = "exp"
	FieldDepth    = "n"
	FieldParent   = "prh"
	FieldAnchor   = "ckp"
	// FieldCertificate is one that a link was signed under, FieldSignature the link's: to find
	// these is what costs a Verifier most.
	FieldCertificate = "certificate"
	FieldSignature   = "signature"
	// FieldBundle is what certificates are held to, FieldSVID what links are signed with.
	FieldBundle = "bundle"
	FieldSVID   = "svid"

	fieldMode = "mode"
)
