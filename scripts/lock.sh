#!/usr/bin/env bash
# Pins every package, with hashes, for any Python from 3.11 and any platform:
#   requirements.lock             what the manager needs, `manager serve` too, and what builds it
#   requirements-dev.lock         that, what the bundled bot needs, and what the tests need
#   scripts/page/requirements.lock  npm, for `make page` where there is none
#   docker/bot/requirements.lock  what the bundled bot needs in the image
# The files name no index: each machine takes its own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

BIN=.venv/bin
BUILD_BACKEND='setuptools>=77,<82'

[ -x "$BIN/uv" ] || "$BIN/python" -m pip install --quiet 'uv>=0.5,<1'

lock() {
  local target=$1
  shift
  say "$target"
  "$BIN/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command 'make lock' --output-file "$target" "$@"
}

# All in one first, so that the tests run with the very versions that the other two ship. The build backend is pinned as well.
lock requirements-dev.lock --extra dev --extra web pyproject.toml docker/bot/requirements.txt - <<<"$BUILD_BACKEND"
lock requirements.lock -c requirements-dev.lock --extra web pyproject.toml - <<<"$BUILD_BACKEND"
lock scripts/page/requirements.lock scripts/page/requirements.in
lock docker/bot/requirements.lock -c requirements-dev.lock docker/bot/requirements.txt
