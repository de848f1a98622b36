#!/usr/bin/env bash
# Runs every fuzz function of the module, one after the other, for the given number of
# executions each. go test accepts one fuzz function of one package at a time, hence the loop.
#
# Executions and not seconds: a time limit cancels the workers in the middle of an input, and
# go test now and then reports that as a failure of the input, "context deadline exceeded".
set -euo pipefail

executions=${1:?usage: fuzz.sh EXECUTIONS}
# A fuzz run has no time limit of its own, so an input that hangs would hang the whole run.
limit=20m
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# go test -list compiles every package it is given: ask only those that can have an answer
# (internal/bench is a module of its own and has none).
mapfile -t packages < <(grep -rl --include='*_test.go' --exclude-dir=bench '^func Fuzz' . | xargs -r -n1 dirname | sort -u)

count=0
for package in "${packages[@]}"; do
  targets=$(go test -list '^Fuzz' "$package")
  for target in $(grep '^Fuzz' <<<"$targets"); do
    printf -- '--- fuzz %s %s\n' "$package" "$target"
    # Without a limit on shrinking, Go spends most of a short run on inputs that merely reach
    # new code: for the policy parser 2,900 executions in 30 s instead of 95,000 in 20 s.
    timeout --kill-after=10s "$limit" \
      go test -run '^$' -fuzz "^$target\$" -fuzztime "${executions}x" -fuzzminimizetime 1x "$package"
    count=$((count + 1))
  done
done

if ((count == 0)); then
  echo 'fuzz.sh: found no fuzz function' >&2
  exit 1
fi
printf 'fuzz functions run: %d, %d executions each\n' "$count" "$executions"
