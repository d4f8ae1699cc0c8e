#!/usr/bin/env bash
# Unpacks a package of a newer Debian suite than the one that is installed.
#   scripts/newer-debian-package.sh SUITE PACKAGE FOLDER
# apt downloads and verifies it. Nothing is installed, apt's own sources and lists stay as they are, and root is not needed.
# Exit code 1, with the reason on standard error, when it is not to be had.
set -euo pipefail
suite=$1 package=$2 folder=$3

give_up() {
  echo "newer-debian-package: $1" >&2
  exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up 'this is not Debian'
mirror=$(apt-get indextargets --format '$(ORIGIN) $(SITE) $(REPO_URI)' |
  awk '$1 == "Debian" && $NF !~ /security/ { print $NF; exit }')
[[ -n $mirror ]] || give_up 'apt knows no Debian mirror; run apt-get update first'

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$temporary/lists/partial" "$temporary/archives/partial"
echo "deb $mirror $suite main" >"$temporary/sources.list"
options=(-qq -o "Dir::Etc::SourceList=$temporary/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$temporary/lists" -o "Dir::Cache=$temporary" -o APT::Sandbox::User=)
apt-get "${options[@]}" update >&2
cd "$temporary"
apt-get "${options[@]}" download "$package" >&2
dpkg-deb -x "$package"_*.deb unpacked
mkdir -p "$folder"
cp -a unpacked/. "$folder"
