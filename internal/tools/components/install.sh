#!/usr/bin/env bash
# The programs of others that the integration tests run. Each is pinned in the directory of
# its name, and built or installed once into a cache outside the tree:
#
#   install.sh install [NAME...]  those named, or all; what is there already is left alone
#   install.sh path NAME          print where one is; an error when it is not installed
#
# A directory of the cache is complete or not there: everything is made beside it and moved.
# It is named after the pinned version, the toolchain and a digest of the pins, so that a
# change of any of them makes another. Whole directories may be deleted at any time.
set -euo pipefail

self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
pins=${self%/*}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-trat/components
# To be raised when the commands below change what they make.
recipe=1

all=(oidc-provider spire dex cerbos)

die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

need() {
  local program=$1 what=$2
  command -v "$program" >/dev/null || die "$name needs $what: no $program in PATH"
}

# describe sets what is known of the component $name before it is installed.
describe() {
  [[ -d $pins/$name ]] || die "there is no component $name; there are: ${all[*]}"
  need sha256sum 'the GNU core utilities'
  local toolchain
  if [[ -f $pins/$name/go.mod ]]; then
    need go Go
    files=(go.mod go.sum)
    version=$(sed -n 's/^require [^ ]* \(v[^ ]*\)$/\1/p' "$pins/$name/go.mod")
    toolchain=$(go env GOVERSION GOOS GOARCH | paste -sd-)
  else
    need node 'Node.js 20 or later'
    need npm 'npm, which comes with Node.js'
    files=(package.json package-lock.json)
    version=$(sed -n "s/^    \"$name\": \"\([^\"]*\)\".*/\1/p" "$pins/$name/package.json")
    toolchain=node$(node --version | sed 's/^v\([0-9]*\).*/\1/')
    ((${toolchain#node} >= 20)) || die "$name needs Node.js 20 or later, and this is $(node --version)"
  fi
  [[ -n $version ]] || die "$name: no version in $pins/$name/${files[0]}"
  local digest
  digest=$(cd "$pins/$name" && { echo "$recipe"; sha256sum "${files[@]}"; } | sha256sum | cut -c-12)
  directory=$cache/$name/$version-$toolchain-$digest
}

# build_go builds the programs that the pinned module names as its tools. Its go.mod and
# go.sum are complete and stay as they are.
build_go() {
  need gcc 'a C compiler (SQLite is C)'
  local packages
  mapfile -t packages < <(cd "$pins/$name" && go mod edit -json | sed -n '/"Tool"/,/]/s/.*"Path": "\(.*\)".*/\1/p')
  ((${#packages[@]} > 0)) || die "$name: no tool in go.mod"
  # Two at a time: some packages of SPIRE take the compiler more than a gigabyte each.
  (cd "$pins/$name" && GOWORK=off GOFLAGS= CGO_ENABLED=1 \
    go build -p 2 -mod=readonly -buildvcs=false -trimpath -ldflags '-s -w' -o "$1/" "${packages[@]}")
}

# install_npm installs exactly what the lock file says, and runs nothing of it.
install_npm() {
  cp "${files[@]/#/$pins/$name/}" "$1/"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2)
}

install_one() {
  describe
  need flock flock
  mkdir -p "$cache/$name"
  exec 9>"$cache/$name/lock"
  if ! flock -n 9; then
    echo "$name $version: waiting for whoever is installing it" >&2
    flock 9
  fi
  if [[ -d $directory ]]; then
    echo "$name $version: installed" >&2
    return
  fi
  # Nobody else is at it, so what is half made was left behind.
  rm -rf "$cache/$name"/*.part
  local part=$directory.part
  mkdir "$part"
  # shellcheck disable=SC2064 # now is when it is known
  trap "rm -rf '$part'" EXIT
  echo "$name $version: installing" >&2
  if [[ -f $pins/$name/go.mod ]]; then build_go "$part"; else install_npm "$part"; fi
  mv "$part" "$directory"
  echo "$name $version: installed in $SECONDS s" >&2
}

case ${1-} in
install)
  shift
  (($# > 0)) || set -- "${all[@]}"
  failed=()
  # Each in a process of its own: one that fails does not keep the others from being there.
  for name; do "$self" install-one "$name" || failed+=("$name"); done
  ((${#failed[@]} == 0)) || die "not installed: ${failed[*]}"
  ;;
install-one)
  name=${2:?install.sh install-one NAME}
  install_one
  ;;
path)
  name=${2:?install.sh path NAME}
  describe
  [[ -d $directory ]] || die "$name $version is not installed: run make integration-components"
  echo "$directory"
  ;;
*)
  die 'usage: install.sh install [NAME...] | path NAME'
  ;;
esac
