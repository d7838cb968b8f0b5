#!/usr/bin/env bash
# Makes sure that there is a Chromium with its driver for the browser tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

has_browser() { command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; }

! has_browser || exit 0
# Ubuntu's chromium packages fetch a snap, which does not run everywhere; a person there decides.
if ! can_install || [ "$(os_release ID)" != debian ]; then
  say 'no chromium and chromedriver here: the browser tests will be skipped'
  exit 0
fi
has_package chromium-driver || apt_update
install_packages 'the browser tests need Chromium' chromium chromium-driver
