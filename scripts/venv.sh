#!/usr/bin/env bash
# Makes the virtual environment .venv, if it is not there: with the first Python of this machine that is new enough.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VENV=${1:-.venv}
OLDEST='3.11'

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The first try is what the person or a version manager chose; the system's own comes next.
find_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$python"; then
      command -v "$python"
      return
    fi
  done
  die "Python $OLDEST or later is needed; the python3 here is $(python3 -V 2>&1 || echo missing). Install a newer one, or name it: make PYTHON=/path/to/python"
}

# Debian and Ubuntu pack the part of Python that makes a venv apart.
need_ensurepip() {
  local python=$1 package
  ! "$python" -c 'import ensurepip' 2>/dev/null || return 0
  package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  can_install || die "$python cannot make virtual environments. As root: apt-get install $package"
  has_package "$package" || apt_update
  has_package "$package" || package=python3-venv
  install_packages "$python cannot make virtual environments" "$package"
}

! is_new_enough "$VENV/bin/python" || exit 0
python=$(find_python)
need_ensurepip "$python"
say "making $VENV with $("$python" -V)"
"$python" -m venv --clear "$VENV"
