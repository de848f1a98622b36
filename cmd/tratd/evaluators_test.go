package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
)

func TestAPDPIsVerifiedByItsCAsAndShownTheSVID(t *testing.T) {
	authority, err := devauthority.New(tts.TrustDomain())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = authority.Close() }()
	pdp := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := len(r.TLS.PeerCertificates) > 0 && len(r.TLS.PeerCertificates[0].URIs) == 1 && r.TLS.PeerCertificates[0].URIs[0].String() == tts.String()
		w.Header().Set("Content-Type", "application/json")
		if shown {
			_, _ = io.WriteString(w, `{"decision": true}`)
		} else {
			_, _ = io.WriteString(w, `{"decision": false}`)
		}
	}))
	pdp.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	pdp.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	pdp.StartTLS()
	defer pdp.Close()
	own := x509.NewCertPool()
	own.AddCert(pdp.Certificate())
	for name, tc := range map[string]struct {
		pdp     config.PDP
		want    bool
		refused bool
	}{
		"CAs and SVID":          {config.PDP{CAs: own, SVID: true}, true, false},
		"CAs alone":             {config.PDP{CAs: own}, false, false},
		"another CA":            {config.PDP{CAs: x509.NewCertPool(), SVID: true}, false, true},
		"the CAs of the system": {config.PDP{SVID: true}, false, true},
		"nothing":               {config.PDP{}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			tc.pdp.Name, tc.pdp.URL, tc.pdp.Timeout = "pdp", pdp.URL, 10*time.Second
			evaluators, err := newEvaluators(&config.Config{AccessEvaluation: []config.PDP{tc.pdp}}, authority.Source(tts), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			got, err := evaluators["pdp"].Evaluate(t.Context(), authzen.Request{
				Subject: authzen.Subject{Type: "subject", ID: "a"}, Action: authzen.Action{Name: "exchange"}, Resource: authzen.Resource{Type: "txn_token", ID: "b"},
			})
			evaluators["pdp"].(*authzen.Client).Close()
			if got != tc.want || (err != nil) != tc.refused {
				t.Errorf("got %t, %v", got, err)
			}
		})
	}
}
