package callchain

// What an Error of this package is about, beside MetadataKey for what is no chain at all.
const (
	fieldAudience    = "aud"
	fieldMethod      = "rpc"
	fieldToken       = "tth"
	fieldIssuer      = "iss"
	fieldIssuedAt    = "iat"
	fieldExpiry      = "exp"
	fieldDepth       = "n"
	fieldAnchor      = "ckp"
	fieldCertificate = "certificate"
	fieldSignature   = "signature"
	fieldBundle      = "bundle"
)
