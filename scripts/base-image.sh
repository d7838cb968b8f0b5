#!/usr/bin/env bash
# Makes the root file system of a small Debian 12 with Python from Debian's own packages and writes it, as a tar, to stdout:
# the base of the bot image where no registry answers. Needs root. `manager build` runs it and imports the result.
#
# Settings come on stdin as KEY=VALUE lines (sudo drops the environment, and an argument shows in `ps`):
#   mirror=URL   the Debian mirror; without it, debootstrap's own
#   ca=FILE      certificates to trust when the mirror speaks https
#   http_proxy=, https_proxy=, no_proxy=
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=bookworm
mirror='' ca=''
while IFS='=' read -r key value; do
  case $key in
    mirror) mirror=$value ;;
    ca) ca=$value ;;
    http_proxy | https_proxy | no_proxy) export "$key=$value" ;;
  esac
done

[ "$(id -u)" = 0 ] || die 'debootstrap needs root'
if ! command -v debootstrap >/dev/null || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  can_install || die 'debootstrap is missing, and this is no Debian or Ubuntu to install it on'
  has_package debootstrap || apt_update
  install_packages 'a base image is made with debootstrap' debootstrap debian-archive-keyring
fi

work=$(mktemp -d /var/tmp/botfleet-base.XXXXXX)
root=$work/root
trap 'umount "$root/proc" 2>/dev/null || :; rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ -n "$ca" ]; then
  echo "ca_certificate = $ca" >"$work/wgetrc"
  export WGETRC="$work/wgetrc"
fi

say "debootstrap of Debian $suite (a minute or so)"
if ! debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,tzdata \
  "$suite" "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1; then
  tail -n 20 "$work/log" >&2
  tail -n 20 "$root/debootstrap/debootstrap.log" >&2 2>/dev/null || :
  exit 1
fi

# A release is as old as its last point release: what was mended since comes from two more suites of the same mirror.
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror $suite main
deb $mirror $suite-updates main
deb ${mirror%/}-security $suite-security main
SOURCES
if [ -n "$ca" ]; then
  cp "$ca" "$root/tmp/ca.pem"
  chmod 644 "$root/tmp/ca.pem"
fi
mount -t proc proc "$root/proc" 2>/dev/null || :
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || :
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" >>"$work/log" 2>&1; }
in_root apt-get ${ca:+-o Acquire::https::CaInfo=/tmp/ca.pem} update ||
  say 'some package lists cannot be read: security updates may be missing'
in_root apt-get ${ca:+-o Acquire::https::CaInfo=/tmp/ca.pem} -qy upgrade ||
  say 'the updates cannot be installed; going on with the release as it is'
umount "$root/proc" 2>/dev/null || :

# Left out: what the packages can be fetched from, what a container never reads, and what tells of this machine or its mirror.
cd "$root"
rm -rf etc/apt/sources.list etc/hostname etc/resolv.conf var/lib/apt/lists/* var/cache/* var/backups/* tmp/* run/* \
  var/lib/dpkg/*-old usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug usr/share/i18n
find var/log -type f -delete
find usr/share/doc ! -type d ! -name copyright -delete
find usr/share/doc -type d -empty -delete
mkdir -p var/cache/apt/archives/partial var/lib/apt/lists/partial usr/share/man
: >etc/machine-id
tar --create --numeric-owner --sort=name --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .
