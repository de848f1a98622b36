package client_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// testTimeout is for what should take no time at all.
const testTimeout = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
