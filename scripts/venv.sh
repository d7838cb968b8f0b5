#!/usr/bin/env bash
# Makes the virtual environment .venv, if it is not there or no longer works: with the first Python of this machine that is
# new enough. With --check it makes nothing, and removes the stamps of one that has to be made again. With --editable it
# installs the project of the current folder into it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

check='' editable=''
case ${1:-} in
  --check) check=yes; shift ;;
  --editable) editable=yes; shift ;;
esac
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

# Its Python still runs and finds its own packages (an upgraded Python does not), and its programs name the folder where it
# lies: a project that was moved or copied has programs that start another folder's Python, or none.
works() {
  local named
  is_new_enough "$VENV/bin/python" || return 1
  "$VENV/bin/python" -c 'import pip' 2>/dev/null || return 1
  if [ ! -e "$VENV/bin/manager" ]; then
    [ ! -e "$VENV/runtime.stamp" ] # else only half of it is there
    return
  fi
  # Its first line, or its second where the path has a blank or is long. LC_ALL: a path may be in any encoding.
  named=$(head -n 2 "$VENV/bin/manager" | LC_ALL=C grep -aoE '/.*/bin/python[0-9.]*' | head -n 1)
  [ -n "$named" ] && [ "$(dirname "$named")" -ef "$VENV/bin" ]
}

# pip's programs begin with the path of their Python, in quotes that a shell reads where it has a blank or is long.
make_venv() {
  "$1" -m venv --clear "$VENV" && "$VENV/bin/pip" --version >/dev/null && return
  rm -rf "$VENV"
  [[ $PWD != *[:\"\$\`\\]* && $PWD != *$'\n'* ]] ||
    die "no virtual environment works in $PWD: its path has one of : \" \$ \` \\ or a line break. Rename that folder, and try again"
  die "cannot make $PWD/$VENV, see above"
}

# setuptools writes the project's path into a file that Python reads, both in the encoding of the locale; in plain C both die of
# a letter beyond ASCII. Relative to the file, the path is without any letter of the folders above.
install_editable() {
  local -x LC_ALL=C.UTF-8
  "$VENV/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
  "$VENV/bin/python" - "$VENV" <<'PYTHON'
import os, pathlib, re, sys

venv = pathlib.Path(sys.argv[1]).absolute()
[link] = venv.glob("lib/python3*/site-packages/__editable__.*.pth")
link.write_text(os.path.relpath(os.path.realpath("."), os.path.realpath(link.parent)) + "\n")

program = venv / "bin" / "manager"
if program.exists():
    # pip's older programs load regular expressions only for names that Windows gives: a third of what a short command takes.
    text = re.sub(rb"(?m)^import re\n|^    sys\.argv\[0\] = re\.sub\(.*\n", b"", program.read_bytes())
    # Without `site` Python starts in two thirds of the time (manager/cli/without_site.py), but does not find the project. The
    # kernel reads 127 bytes of a first line; a longer one, or one with a blank, is a shell's, in the second line.
    fast, count = re.subn(rb"\A(#!/\S+/python[0-9.]*|#!/bin/sh\n'''exec' .*/python[0-9.]*\"?)(?= \"\$0\" |\n)", rb"\1 -S", text)
    # An earlier version's code, as after `git checkout`, knows nothing of that: nothing would start, not even a halt.
    find = b"import sys\nif sys.flags.no_site:\n    sys.path.append(sys.executable.rpartition('/bin/')[0].rpartition('/')[0])\n"
    find += b"    import manager.cli\n    if not hasattr(manager.cli, 'STARTS_WITHOUT_SITE'):\n        import site\n        site.main()\n"
    if count and fast.find(b"\n") <= 127 and b"\nimport sys\n" in fast and os.path.samefile(venv.parent, "."):
        text = fast.replace(b"import sys\n", find, 1)
    program.write_bytes(text)
PYTHON
}

if [ -n "$editable" ]; then
  install_editable
  exit 0
elif works; then
  exit 0
elif [ -n "$check" ]; then
  rm -f "$VENV"/*.stamp
  exit 0
fi
[ ! -e "$VENV" ] || say "$VENV does not work any more (was the folder moved?); making it again"
python=$(find_python)
need_ensurepip "$python"
say "making $VENV with $("$python" -V)"
make_venv "$python"
