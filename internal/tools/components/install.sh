#!/usr/bin/env bash
# The programs of others that the integration tests run. Each is pinned in the directory of
# its name, and built or installed once into a cache outside the tree:
#
#   install.sh install [NAME...]  those named, or all; what is there already is left alone
#   install.sh path NAME          print where one is; an error when it is not installed
#
# A directory of the cache is complete or not there: everything is made beside it and moved.
# It is named after the version, where that comes from and a digest of the pins, so that a
# change of any of them makes another. Whole directories may be deleted at any time. Only of
# a Debian package that is gone from the archive a later version takes the place; see
# install_redis.
set -euo pipefail

self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
pins=${self%/*}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-trat/components
# To be raised when the commands below change what they make.
recipe=1

all=(oidc-provider spire dex cerbos redis otelcol)

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
  if [[ -f $pins/$name/packages ]]; then
    files=(packages)
    if server=$(find_server); then
      version=$(server_version "$server")
      toolchain=from-$(sha256sum <<<"$server" | cut -c-12)
    else
      version=$(sed -n '/^#/!{s/^[^ ]* *\([0-9]*:\)\{0,1\}\([^ ]*\).*/\2/p;q}' "$pins/$name/packages")
      toolchain=debian12-amd64
    fi
  elif [[ -f $pins/$name/go.mod ]]; then
    need go Go
    mapfile -t files < <(cd "$pins/$name" && ls go.mod go.sum && find . -maxdepth 1 -name '*.go' | sort)
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

# server_version prints the version of a Redis or Valkey, which is the same for both.
server_version() { "$1" --version | sed -n 's/.* v=\([0-9][0-9.]*\).*/\1/p'; }

# find_server prints where in PATH a Redis or Valkey is that is new enough.
find_server() {
  local program found
  for program in redis-server valkey-server; do
    found=$(command -v "$program") || continue
    if printf '%s\n' 6.2 "$(server_version "$found")" | sort -CV; then
      echo "$found"
      return
    fi
  done
  return 1
}

# major prints the major version of a Debian version: 7 of 5:7.0.15-1~deb12u7.
major() {
  local upstream=${1#*:}
  echo "${upstream%%.*}"
}

# offered prints the version of a package to take: the pinned one, or, when the archive has
# dropped that, the one that it offers instead, of the same major version.
offered() {
  local package=$1 pinned=$2 candidate
  if apt-cache "${options[@]}" madison "$package" | grep -qF " $pinned "; then
    echo "$pinned"
    return
  fi
  candidate=$(apt-cache "${options[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
  [[ -n $candidate && $candidate != '(none)' && $(major "$candidate") == "$(major "$pinned")" ]] ||
    die "$name: the package archive has no $package $pinned, but ${candidate:-none}: pin one that it has, $without"
  echo "$candidate"
}

# install_redis takes the server in PATH, or fetches the pinned packages with lists of its own:
# this needs no rights and changes nothing of the machine. Debian's archive keeps no version
# that was replaced, as security updates are. What it offers then is vouched for by the
# signature of its lists, to which apt holds whatever it fetches, instead of by our pin.
install_redis() {
  if [[ -n $server ]]; then
    ln -s "$server" "$1/redis-server"
    return
  fi
  local without='or else Redis or Valkey 6.2 or later in PATH'
  need apt-get "apt of Debian 12, $without"
  need dpkg-deb "dpkg of Debian 12, $without"
  [[ $(dpkg --print-architecture) == amd64 ]] || die "$name needs Debian on amd64, $without"
  local apt=$1/apt package pinned sum taken
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$1/lib"
  : >"$apt/status" # what is installed has no say in what is offered
  local options=(-qq -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt" -o APT::Sandbox::User=
    -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false)
  apt-get "${options[@]}" update >&2
  while read -r package pinned sum; do
    [[ $package == '#'* ]] && continue
    taken=$(offered "$package" "$pinned")
    (cd "$apt" && apt-get "${options[@]}" download "$package=$taken" >&2) || die "$name: no $package $taken from the package archive, $without"
    if [[ $taken == "$pinned" ]]; then
      sha256sum --check --quiet <<<"$sum  $(echo "$apt/${package}_"*.deb)" >&2 || die "$name: $package is not the pinned one"
    else
      echo "$name: the package archive has no $package $pinned any more: taking $taken, by the archive's signature" >&2
    fi
    dpkg-deb --extract "$apt/${package}_"*.deb "$apt/tree"
  done <"$pins/$name/packages"
  cp -P "$apt"/tree/usr/lib/x86_64-linux-gnu/*.so* "$1/lib/"
  cp "$apt/tree/usr/bin/redis-check-rdb" "$1/lib/redis-server" # one program, which goes by its name
  rm -r "$apt"
  cat >"$1/redis-server" <<'END'
#!/bin/sh
lib=$(dirname "$0")/lib
LD_LIBRARY_PATH=$lib exec "$lib/redis-server" "$@"
END
  chmod +x "$1/redis-server"
  "$1/redis-server" --version >&2 || die "$name: the server does not run on this machine"
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
  case ${files[0]} in
  packages) install_redis "$part" ;;
  go.mod) build_go "$part" ;;
  *) install_npm "$part" ;;
  esac
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
