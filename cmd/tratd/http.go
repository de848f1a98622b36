package main

import (
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
)

// newHTTPServer makes the HTTP form of tokens, whose keys are in ring.
func (p *parts) newHTTPServer(creds credentials.TransportCredentials, tokens *server.Server, ring *keys.Ring) (*httptoken.Server, error) {
	handler, err := httptoken.New(httptoken.Config{
		Issuer:         p.cfg.Issuer,
		BaseURL:        p.cfg.HTTP.BaseURL,
		Service:        tokens,
		Keys:           ring,
		Logger:         p.logger,
		TracerProvider: p.providers.Tracer,
		MeterProvider:  p.providers.Meter,
		Propagator:     p.providers.Propagators,
	})
	if err != nil {
		return nil, err
	}
	return httptoken.NewServer(httptoken.ServerConfig{
		Credentials:      p.connections.bound(creds),
		Handler:          handler,
		Logger:           p.logger,
		MaxConnectionAge: connectionAge(p.svids),
		AgeGrace:         connectionAgeGrace,
	})
}
