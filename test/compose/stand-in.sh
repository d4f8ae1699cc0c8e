#!/usr/bin/env bash
# Makes a stand-in for an official base image, for where no image registry can be reached, and names it IMAGE.
#   test/compose/stand-in.sh node|nats IMAGE
# It is Debian from the mirror that apt uses here, with Node 24 and npm out of npm packages, or with the nats-server that
# scripts/get-nats-server.sh finds. Needs mmdebstrap, and on most systems root.
set -euo pipefail
kind=$1 image=$2
cd "$(dirname "$0")/../.."
command -v mmdebstrap >/dev/null || {
  echo 'stand-in.sh: mmdebstrap is needed: apt-get install mmdebstrap' >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $kind in
  node)
    npm install --silent --prefix "$work" --no-save --no-package-lock node@24 npm@11
    mkdir "$work/lib"
    mv "$work/node_modules/npm" "$work/lib/npm"
    packages=ca-certificates,libstdc++6
    hooks=(
      "copy-in '$work/node_modules/node/bin/node' /usr/local/bin"
      'mkdir -p "$1/usr/local/lib/node_modules" "$1/home/node"'
      "copy-in '$work/lib/npm' /usr/local/lib/node_modules"
      'ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"'
      'echo node:x:1000: >>"$1/etc/group"; echo node:x:1000:1000::/home/node:/bin/bash >>"$1/etc/passwd"; chown 1000:1000 "$1/home/node"'
    )
    changes=(--change 'CMD ["node"]')
    ;;
  nats)
    server=$(scripts/get-nats-server.sh)
    packages=busybox
    hooks=("copy-in '$server' /usr/local/bin" 'ln -s busybox "$1/bin/wget"')
    changes=(--change 'ENTRYPOINT ["nats-server"]')
    ;;
  *)
    echo "stand-in.sh: there is no stand-in for $kind" >&2
    exit 2
    ;;
esac

mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' | awk '$1 == "Debian" && $NF !~ /security/ { print $NF; exit }')
mmdebstrap --quiet --format=tar --variant=minbase --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --aptopt='APT::Sandbox::User "root"' \
  "${hooks[@]/#/--customize-hook=}" bookworm - ${mirror:+"$mirror"} >"$work/image.tar"
docker import "${changes[@]}" "$work/image.tar" "$image" >/dev/null
