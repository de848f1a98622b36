package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/grpc-trat/grpc-trat"

// programs are the processes of the demo, each with its package below the module.
var programs = []string{
	"cmd/trat", "cmd/tratd",
	"examples/shop/issuer", "examples/shop/gateway", "examples/shop/orders",
	"examples/shop/stocks", "examples/shop/payments",
}

// build compiles the programs into dir.
func build(ctx context.Context, dir string) error {
	args := []string{"build", "-o", dir + string(os.PathSeparator)}
	for _, p := range programs {
		args = append(args, module+"/"+p)
	}
	_, err := goTool(ctx, args...)
	return err
}

// findSource returns the shop's source directory.
func findSource(ctx context.Context) (string, error) {
	root, err := goTool(ctx, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", err
	}
	return filepath.Join(strings.TrimSpace(root), "examples", "shop"), nil
}

// goTool runs the go command and returns what it prints.
func goTool(ctx context.Context, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = &stderr
	// An interrupt lets the go command remove its own temporary files.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.String())
	}
	return string(out), nil
}
