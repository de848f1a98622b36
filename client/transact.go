package client

import (
	"context"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Transact runs do in a transaction of its own: it exchanges r for a TraT as Exchange does
// and gives do a context that has it. It is the way of work that takes longer than a TraT
// lives: the work is cut into units, such as an order or a page of a report, and each unit
// is a transaction.
//
//	for _, order := range orders {
//		err := tts.Transact(ctx, request(order), func(ctx context.Context) error {
//			_, err := payments.Settle(ctx, order)
//			return err
//		})
//		...
//	}
//
// A TraT is never lengthened. Calls of do that begin after its expiry fail with
// TXN_TOKEN_EXPIRED, and so do those that are under way then; do itself is not interrupted.
// The unit is then to be done anew, by a Transact of its own, if it may be.
//
// The context ends when do has returned, and with it what do left open. Errors are those of
// Exchange, before do has run, and otherwise what do returned, as it is. A request to replace
// a TraT is refused (PARAMETER_INVALID of "subject_token_type"): it would begin no
// transaction; see Replace. Safe for concurrent use.
func (c *Client) Transact(ctx context.Context, r Request, do func(context.Context) error) error {
	token, err := c.begin(ctx, r)
	if err != nil {
		return err
	}
	return within(ctx, token, do)
}

// begin is Exchange for what begins a transaction.
func (c *Client) begin(ctx context.Context, r Request) (*trat.Token, error) {
	if r.SubjectTokenType == TransactionToken {
		return nil, localError(trat.Errorf(trat.ReasonParameterInvalid, "subject_token_type", "a replacement begins no transaction"))
	}
	return c.Exchange(ctx, r)
}

// within runs do in the transaction of token.
func within(ctx context.Context, token *trat.Token, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(trat.NewContext(ctx, token))
	defer cancel()
	return do(ctx)
}
