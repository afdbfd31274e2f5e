#!/bin/bash
# Installs chromium for the tests of exported pages: Debian's own package, and only as root. On other systems, those
# tests are skipped with a reason.
set -euo pipefail

say() { printf 'browser: %s\n' "$*" >&2; }

if ! command -v chromium >/dev/null; then
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        say "there is no chromium; install it, or the tests of exported pages are skipped"
        exit 0
    fi
    say "installing chromium"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update >&2
    if [[ -z $(apt-cache madison chromium) ]]; then
        say "this system has no package chromium; install it, or the tests of exported pages are skipped"
        exit 0
    fi
    apt-get install --yes --no-install-recommends chromium >&2
fi
say "$(chromium --version 2>/dev/null)"
