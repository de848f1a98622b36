package client

import "time"

// WithKeyWait shortens how long an answer waits for its key.
func WithKeyWait(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		o.keyWait = d
		return nil
	})
}

// WithSilence shortens how long a watch may be silent.
func WithSilence(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		o.silence = d
		return nil
	})
}

// PauseAfter is the pause after so many early turns of Reopen in a row.
func PauseAfter(early int) time.Duration { return pauseAfter(early) }

// RetryDelay is the pause that a called service asks Reopen for.
func RetryDelay(err error) time.Duration { return retryDelay(err) }
