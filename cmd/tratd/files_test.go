package main

import (
	"log/slog"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestAPolicyIsComparedWithWhatTheServiceAccepts(t *testing.T) {
	const issuers = "subject_tokens: {issuers: [{issuer: 'https://login.test', prefix: login, "
	for name, text := range map[string]string{
		"nothing":       "",
		"access tokens": issuers + "audience: a}]}",
		"ID tokens":     issuers + "client_id: c}]}",
		"JWTs":          issuers + "jwt_audience: j}]}",
		"all of them":   issuers + "audience: a, client_id: c, jwt_audience: j}]}",
		"self-signed":   "subject_tokens: {self_signed: {replay_store: memory}}",
		"unsigned":      "subject_tokens: {unsigned_json: true}",
		"replacement":   "subject_tokens: {txn_token: true}",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.Load(writeFiles(t, withoutSubjectTokens()+text, noRules))
			if err != nil {
				t.Fatal(err)
			}
			none, err := trat.NewStaticKeySet()
			if err != nil {
				t.Fatal(err)
			}
			s, err := newSubjects(cfg, nil, none, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			accepted := cfg.SubjectTokens()
			for _, uri := range []string{
				trat.TokenTypeAccessToken, trat.TokenTypeIDToken, trat.TokenTypeJWT, trat.TokenTypeSelfSigned, trat.TokenTypeUnsignedJSON, trat.TokenType,
			} {
				if _, listed := accepted[uri]; listed != (s.Supports(cfg.ID, uri) == nil) {
					t.Errorf("%s: policies may name it: %t, the service accepts it: %t", uri, listed, !listed)
				}
			}
		})
	}
}
