#!/bin/bash
# Writes a root filesystem equal to debian:trixie-slim to stdout as a tar, for machines that cannot pull.
set -euo pipefail

suite=trixie

say() { printf 'base: %s\n' "$*" >&2; }

if ! command -v mmdebstrap >/dev/null; then
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        say "mmdebstrap is missing; install it, or pull debian:$suite-slim on a machine that can."
        exit 3
    fi
    say "installing mmdebstrap"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install --yes --no-install-recommends mmdebstrap debian-archive-keyring; } >&2
fi

# The excludes are those of the official slim images; licences stay. The host's name and resolver do not belong in it.
say "bootstrapping Debian $suite"
# shellcheck disable=SC2016 # mmdebstrap fills in the hook's $1
exec mmdebstrap --quiet --variant=minbase \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/lintian/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' \
    "$suite" -
