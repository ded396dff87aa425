#!/usr/bin/env bash
# base-image.sh FILE: makes a root file system with Node, npm, nginx and systemd as a tar file, of Debian's packages and npm's.
# Engines import it where node:24-slim and nginx:stable cannot be pulled. Needs root and debootstrap.
set -euo pipefail

file=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/base-image.XXXXXX")
trap 'rm -rf "$folder"' EXIT
root=$folder/root

debootstrap --variant=minbase --include=ca-certificates,dbus,nginx-light,systemd,systemd-sysv bookworm "$root" >&2

# The package of this name brings the program for the machine it is installed on, and no npm.
npm install --prefix "$folder/node" --no-audit --no-fund node@24 >&2
install "$(readlink -f "$folder/node/node_modules/node/bin/node")" "$root/usr/local/bin/node"
npm install --prefix "$folder/npm" --no-audit --no-fund npm@11 >&2
mkdir -p "$root/usr/local/lib/node_modules"
cp -a "$folder/npm/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"

# Whom this machine trusts on its way to npm.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

# As the image nginx:stable has it.
rm -f "$root"/etc/nginx/sites-enabled/*
ln -sf /dev/stdout "$root/var/log/nginx/access.log"
ln -sf /dev/stderr "$root/var/log/nginx/error.log"

rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
mkdir -p "$(dirname "$file")"
tar --create --file "$file.part" --directory "$root" --one-file-system .
mv "$file.part" "$file"
