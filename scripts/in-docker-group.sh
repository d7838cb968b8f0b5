#!/usr/bin/env bash
# Runs a command with the rights of the group docker, where its user is a member since the last login only:
# `make engine` adds who may use sudo, and a shell that was open before does not know it yet.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

may_use_socket() { [ ! -S /var/run/docker.sock ] || [ -w /var/run/docker.sock ]; }
is_member() { id -Gn "$(id -un)" 2>/dev/null | tr ' ' '\n' | grep -qx docker; }

if [ -n "${DOCKER_HOST:-}" ] || may_use_socket || ! is_member || ! command -v sg >/dev/null; then
  exec "$@"
fi

exec sg docker -c "exec $(quoted "$@")"
