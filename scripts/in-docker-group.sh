#!/usr/bin/env bash
# Runs a command with the rights of the group docker, where its user is a member since the last login only:
# `make engine` adds who may use sudo, and a shell that was open before does not know it yet.
# With --hint it says, to people in such a shell, what they have to do before they type docker or manager themselves.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

may_use_socket() { [ ! -S /var/run/docker.sock ] || [ -w /var/run/docker.sock ]; }
is_member() { id -Gn "$(id -un)" 2>/dev/null | tr ' ' '\n' | grep -qx docker; }
needs_group() { [ -z "${DOCKER_HOST:-}" ] && ! may_use_socket && is_member && command -v sg >/dev/null; }

if [ "${1:-}" = --hint ]; then
  if ! needs_group; then
    :
  elif speaks_chinese; then
    echo '先執行       newgrp docker    （這個 shell 比你加入 docker 群組的時間還早；重新登入也可以）'
  else
    echo 'first      newgrp docker    (this shell is older than your membership of the group docker; or log in again)'
  fi
elif needs_group; then
  exec sg docker -c "exec $(quoted "$@")"
else
  exec "$@"
fi
