#!/usr/bin/env bash
# Makes sure of what some tests need besides an engine: Chromium with its driver, and a clock that can be made to step.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

has_browser() { command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; }
has_faketime() { command -v faketime >/dev/null; }

packages=()
has_faketime || packages+=(faketime)
# Ubuntu's chromium packages fetch a snap, which does not run everywhere; a person there decides.
if has_browser; then
  :
elif [ "$(os_release ID)" = debian ]; then
  packages+=(chromium chromium-driver)
else
  say 'no chromium and chromedriver here: the browser tests will be skipped'
fi
[ ${#packages[@]} -gt 0 ] || exit 0
if ! can_install; then
  say "cannot install ${packages[*]} here: the tests that need them will be skipped"
  exit 0
fi
has_package "${packages[0]}" || apt_update
install_packages 'some tests need them' "${packages[@]}"
