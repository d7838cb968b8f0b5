#!/usr/bin/env bash
# Tries the README's two commands on fresh machines: `make fresh` for all rows, `make fresh ROW=debian12-cli` for one.
#
# Each row of scripts/fresh/rows.py is a small Debian made by debootstrap, copied from a pristine tree and booted in mount, pid,
# network and cgroup namespaces of its own: with its own dockerd, and with a clone of this checkout's last commit.
# A row that passed for this very tree of files is not run again.
#   ROW="NAME…"    only these rows            FORCE=1         run what passed already, too
#   ONLY=up        leave `make test` out      FRESH_DIR=DIR   where trees, caches, logs and results are (/var/tmp/botfleet-fresh)
# The machine's way to packages is inherited: Debian mirror, proxies, certificates, pip's configuration and local package folders.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

packages=()
command -v debootstrap >/dev/null && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
  packages+=(debootstrap debian-archive-keyring)
command -v ip >/dev/null || packages+=(iproute2)
command -v iptables >/dev/null || packages+=(iptables)
if [ ${#packages[@]} -gt 0 ]; then
  can_install || die "${packages[*]} are missing, and cannot be installed here (that needs Debian or Ubuntu, and root or sudo)"
  has_package "${packages[0]}" || apt_update
  install_packages 'fresh machines are made with them' "${packages[@]}"
fi

# -B: root leaves no compiled files in another user's checkout.
command=(python3 -B -m scripts.fresh "$@")
[ "$(id -u)" = 0 ] || command=(sudo --preserve-env "${command[@]}")
exec "${command[@]}"
