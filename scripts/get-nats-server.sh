#!/usr/bin/env bash
# Prints the path of a nats-server ≥ 2.15 for the tests, and fetches it where it is not yet there.
#   scripts/get-nats-server.sh
# The server comes out of the package of a newer Debian suite, which apt verifies and which is only unpacked: nothing is
# installed, apt's own sources and lists stay as they are, and root is not needed. Elsewhere than on Debian, put a
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

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up 'this is not Debian'
mirror=$(apt-get indextargets --format '$(ORIGIN) $(SITE) $(REPO_URI)' |
  awk '$1 == "Debian" && $NF !~ /security/ { print $NF; exit }')
[[ -n $mirror ]] || give_up 'apt knows no Debian mirror; run apt-get update first'

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for suite in testing unstable; do
  root=$temporary/$suite
  mkdir -p "$root/lists/partial" "$root/archives/partial"
  echo "deb $mirror $suite main" >"$root/sources.list"
  options=(-qq -o "Dir::Etc::SourceList=$root/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$root/lists" -o "Dir::Cache=$root" -o APT::Sandbox::User=)
  apt-get "${options[@]}" update >&2 || continue
  (cd "$root" && apt-get "${options[@]}" download nats-server >&2 && dpkg-deb -x nats-server_*.deb unpacked) || continue
  new_enough "$root/unpacked/usr/sbin/nats-server" || continue
  mkdir -p "$folder"
  # In two steps, so that whoever looks never finds half a binary.
  install -m 755 "$root/unpacked/usr/sbin/nats-server" "$binary.$$"
  mv "$binary.$$" "$binary"
  echo "$binary"
  exit 0
done
give_up "no nats-server ≥ $wanted in the newer suites of $mirror"
