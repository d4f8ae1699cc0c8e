#!/usr/bin/env bash
# Prints the path of a nats-server ≥ 2.15 for the tests, and fetches it where it is not yet there.
#   scripts/get-nats-server.sh
# The server comes out of the package of a newer Debian suite, which is only unpacked. Elsewhere than on Debian, put a
# nats-server into the folder below by hand. Exit code 1, with the reason on standard error, when there is none to be had.
set -euo pipefail

folder=$HOME/.cache/runledger/nats-server
binary=$folder/nats-server
wanted=2.15

new_enough() {
  local version
  version=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1) || return 1
  [[ $(printf '%s\n' "$wanted" "$version" | sort -V | head -n 1) == "$wanted" ]]
}

give_up() {
  echo "get-nats-server: $1" >&2
  exit 1
}

if new_enough "$binary"; then
  echo "$binary"
  exit 0
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for suite in testing unstable; do
  "$(dirname "$0")/newer-debian-package.sh" "$suite" nats-server "$temporary/$suite" || continue
  new_enough "$temporary/$suite/usr/sbin/nats-server" || continue
  mkdir -p "$folder"
  # In two steps, so that whoever looks never finds half a binary.
  install -m 755 "$temporary/$suite/usr/sbin/nats-server" "$binary.$$"
  mv "$binary.$$" "$binary"
  echo "$binary"
  exit 0
done
give_up "no nats-server ≥ $wanted in the newer Debian suites"
