package main

import (
	"context"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// rulesTctx is what a usual transaction is bound to, about 150 bytes: more than the
	// methods below compare.
	rulesTctx = `{"order_id":"ord-20261122-000471","customer":"c-88213","region":"eu-central-1","amount_cents":1299900,"currency":"EUR","quantity":3,"express":true}`
	// rulesCondition names the transaction and the request.
	rulesCondition = "tctx.amount_cents <= 2000000 && request.quantity > 0"

	// callTctx and callRequest are the same for the measured call, whose message is not ours.
	callTctx      = `{"size":1000,"kind":"COMPRESSABLE","username":true,"scope":true,"region":"eu-central-1","customer":"c-88213","order_id":"ord-20261122-000471"}`
	callCondition = "tctx.size <= 4096 && request.response_size > 0"
)

// boundRequest is a request with four bound fields.
var boundRequest = &rulestestv1.Four{OrderId: "ord-20261122-000471", AmountCents: 1299900, Quantity: 3, Express: true}

// callBound is the measured call with four fields that a rule can bind.
func callBound(ctx context.Context, c testpb.TestServiceClient) error {
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{
		ResponseSize: 1000, ResponseType: testpb.PayloadType_COMPRESSABLE, FillUsername: true, FillOauthScope: true,
	})
	return err
}

func bindFour(r interceptors.Rule) interceptors.Rule {
	return r.Bind("response_size", "size").Bind("response_type", "kind").Bind("fill_username", "username").Bind("fill_oauth_scope", "scope")
}

// The guarded calls, with tokens that were seen before, whose method binds four fields, and
// has a condition too.
var (
	bound = variant{
		name: "bound", mode: guarded.mode, context: tokenContext,
		demands: demands{testpb.TestService_UnaryCall_FullMethodName: bindFour},
	}
	asked = variant{
		name: "asked", mode: guarded.mode, context: tokenContext,
		demands: demands{testpb.TestService_UnaryCall_FullMethodName: func(r interceptors.Rule) interceptors.Rule {
			return bindFour(r).When(callCondition)
		}},
	}
)

// rulesOf makes what evaluates a rule for boundRequest.
func rulesOf(rule rules.Rule) (func(int) error, error) {
	td, err := spiffeid.TrustDomainFromString("trust-domain.test")
	if err != nil {
		return nil, err
	}
	program, err := rules.Compile(rule, rules.Target{
		FullMethod: "/rulestest.v1.BoundService/Call", TrustDomain: td, Input: boundRequest.ProtoReflect().Descriptor(),
	})
	if err != nil {
		return nil, err
	}
	tctx, err := trat.ParseObject(rulesTctx)
	if err != nil {
		return nil, err
	}
	d, err := newDomainFor(tctx)
	if err != nil {
		return nil, err
	}
	d.stop()
	call := &rules.Call{Token: d.verified[0], Peer: spiffeid.RequireFromPath(td, gatewayPath), Now: time.Now()}
	return func(int) error { return program.CheckMessage(context.Background(), call, boundRequest) }, nil
}

// measureRules measures the rules of a method: by themselves, and as part of a call with a
// token that was seen before.
func measureRules(rounds int) ([]row, error) {
	list, err := binding.Declared(boundRequest.ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	four, err := rulesOf(rules.Rule{Bindings: list})
	if err != nil {
		return nil, err
	}
	condition, err := rulesOf(rules.Rule{When: []string{rulesCondition}})
	if err != nil {
		return nil, err
	}
	costs, err := compare(rounds, tokenTurn, subject{"four", four}, subject{"condition", condition})
	if err != nil {
		return nil, err
	}
	var failed error
	allocations := func(check func(int) error) float64 {
		return testing.AllocsPerRun(1000, func() {
			if err := check(0); err != nil {
				failed = err
			}
		})
	}
	rows := []row{
		{name: "rules, four bound fields", value: micros(costs["four"].median()), unit: " us", budget: 1},
		{name: "rules, four bound fields, allocations", value: allocations(four), budget: 2},
		{name: "rules, one condition", value: micros(costs["condition"].median()), unit: " us", budget: 5},
		{name: "rules, one condition, allocations", value: allocations(condition)},
	}
	if failed != nil {
		return nil, failed
	}
	p := plan{worlds: rounds, limit: time.Duration(rounds) * time.Second, rounds: 6, turn: 15 * time.Millisecond, warm: callBound}
	if p.tctx, err = trat.ParseObject(callTctx); err != nil {
		return nil, err
	}
	w, err := p.inWorlds(callBound, bound, bytes, guarded, asked)
	if err != nil {
		return nil, err
	}
	ratio, uncertain := w.over(bound, bytes)
	withCondition, _ := w.over(asked, bytes)
	without, _ := w.over(guarded, bytes)
	streams, err := measureBoundStreams(rounds)
	if err != nil {
		return nil, err
	}
	rows = append(rows, streams...)
	return append(rows,
		row{name: "unary call, token seen before, four bound fields / bare with the bytes", value: ratio, unit: "x", budget: 1.1},
		row{name: "unary call, standard error of that", value: uncertain, unit: "x"},
		row{name: "unary call, token seen before, four bound fields and a condition / bare with the bytes", value: withCondition, unit: "x"},
		row{name: "unary call, token seen before, no rule about the request / bare with the bytes", value: without, unit: "x"},
	), nil
}

// streamBound sends messages of which a rule can bind one field.
func streamBound(ctx context.Context, c testpb.TestServiceClient) error {
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	message := &testpb.StreamingInputCallRequest{ExpectCompressed: &testpb.BoolValue{Value: true}}
	for range streamMessages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// measureBoundStreams measures client streams each message of which is checked.
func measureBoundStreams(rounds int) ([]row, error) {
	checked := variant{
		name: "checked", mode: guarded.mode, context: tokenContext,
		demands: demands{testpb.TestService_StreamingInputCall_FullMethodName: func(r interceptors.Rule) interceptors.Rule {
			return r.Bind("expect_compressed.value", "username")
		}},
	}
	p := plan{worlds: rounds, limit: time.Duration(rounds) * time.Second, rounds: 4, turn: 25 * time.Millisecond}
	var err error
	if p.tctx, err = trat.ParseObject(callTctx); err != nil {
		return nil, err
	}
	w, err := p.inWorlds(streamBound, checked, guarded)
	if err != nil {
		return nil, err
	}
	ratio, uncertain := w.over(checked, guarded)
	return []row{
		{name: "client stream, guarded, CPU per message", value: micros(w[guarded.name].median()) / streamMessages, unit: " us"},
		{name: "client stream, guarded with a bound field, CPU per message", value: micros(w[checked.name].median()) / streamMessages, unit: " us"},
		{name: "client stream, with a bound field / without", value: ratio, unit: "x"},
		{name: "client stream, standard error of that", value: uncertain, unit: "x"},
	}, nil
}
