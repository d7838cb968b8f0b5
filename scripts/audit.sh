#!/usr/bin/env bash
# Looks the locked packages up in the database of known vulnerabilities. Ends with 1 where one is vulnerable, else with 2
# where the database cannot be had: then nothing is known, which is something else than nothing found.
# Usage: scripts/audit.sh VENV  (made for this, because the auditor needs packages that the project does not)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

if [ ! -x "$venv/bin/pip-audit" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" --disable-pip-version-check install --quiet pip-audit==2.10.1
fi

errors=$(mktemp) known=$(mktemp)
trap 'rm -f "$errors" "$known"' EXIT
audit() { "$venv/bin/pip-audit" --strict --progress-spinner off --disable-pip "$@" 2>"$errors"; }

# A mirror may leave the vulnerabilities out of its answers: one that everybody knows has to be among them.
echo 'jinja2==2.10' >"$known"
audit --no-deps -r "$known" >/dev/null || true
if ! grep -q '^Found [0-9]* known vulnerabilit' "$errors"; then
  echo "not checked: the package index does not tell of the vulnerability in $(cat "$known"): $(tail -n 1 "$errors" | cut -c -300)"
  exit 2
fi

vulnerable=0 unknown=0
for lock in requirements.lock requirements-dev.lock docker/bot/requirements.lock; do
  code=0
  report=$(audit --require-hashes -r "$lock") || code=$?
  if [ "$code" = 0 ]; then
    echo "$lock: no known vulnerabilities"
  elif grep -q '^Found [0-9]* known vulnerabilit' "$errors"; then
    printf '%s: vulnerable\n%s\n' "$lock" "$report"
    vulnerable=1
  else
    echo "$lock: not checked: $(tail -n 1 "$errors" | cut -c -300)"
    unknown=1
  fi
done
[ "$vulnerable" = 0 ] || exit 1
[ "$unknown" = 0 ] || exit 2
