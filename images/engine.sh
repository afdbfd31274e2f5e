#!/bin/bash
# Makes a container engine available. If none answers, and on Debian or Ubuntu as root, it installs and starts Docker.
# It never stops or replaces a running engine.
set -euo pipefail

default_host=unix:///var/run/docker.sock
log=/var/log/dockerd.log
wait_s=60

say() { printf 'engine: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 3
}

have() { command -v "$1" >/dev/null; }

# The docker command knows contexts; without it, only DOCKER_HOST counts.
endpoint() {
    local host=
    if have docker; then
        host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || true
    fi
    printf '%s\n' "${host:-${DOCKER_HOST:-$default_host}}"
}

answers() {
    if have docker; then
        timeout 10 docker ps --quiet >/dev/null 2>&1
        return
    fi
    case $host in
        unix://*) curl --fail --silent --max-time 10 --unix-socket "${host#unix://}" http://localhost/_ping ;;
        tcp://*) curl --fail --silent --max-time 10 "http://${host#tcp://}/_ping" ;;
        *) false ;;
    esac >/dev/null 2>&1
}

install_engine() {
    local packages=(docker.io ca-certificates)
    have apt-get || fail "no dockerd here; install Docker Engine or Docker Desktop, start it, and run this again."
    say "installing docker.io"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update >&2
    # Newer releases have a separate package for the docker command.
    if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
    apt-get install --yes --no-install-recommends "${packages[@]}" >&2
}

start_engine() {
    if [[ -d /run/systemd/system ]]; then
        say "starting docker.service"
        systemctl start docker
    elif ! pidof dockerd >/dev/null; then
        say "starting dockerd, its log is $log"
        setsid --fork dockerd >>"$log" 2>&1 </dev/null
        sleep 1
    fi
}

wait_for_engine() {
    local deadline=$((SECONDS + wait_s))
    until answers; do
        if ((SECONDS >= deadline)) || ! pidof dockerd >/dev/null; then return 1; fi
        sleep 1
    done
}

host=$(endpoint)
if ! answers; then
    [[ $host == "$default_host" ]] ||
        fail "nothing answers at $host; start that engine, or unset DOCKER_HOST and run: docker context use default"
    [[ $(uname -s) == Linux && $EUID -eq 0 ]] ||
        fail "nothing answers at $host; start Docker, or, on Debian or Ubuntu, run this as root to have it installed."
    have dockerd || install_engine
    have docker || have curl ||
        fail "dockerd is installed, but neither the docker command nor curl; install one of them."
    start_engine
    if ! wait_for_engine; then
        tail -n 20 "$log" >&2 2>/dev/null || true
        fail "dockerd does not answer at $host; the end of its log, if any, is above."
    fi
fi
say "ready at $host"
