#!/usr/bin/env bash
# Makes sure that a Docker Engine answers and that a Docker CLI can build images for it; installs the distribution's own
# where there is none. With --with-compose also that `docker compose` (v2) and `docker buildx` answer.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

OLDEST_ENGINE=20.10
ANSWERS_S=30     # an engine that is removing fifty containers still answers within a few seconds
STARTS_S=90      # a first start makes its store, its network and its containerd
DOCKERD_LOG=/var/log/dockerd.log
TRIXIE=botfleet-trixie
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

arguments=("$@")
with_compose=
case "${1:-}" in
  '') ;;
  --with-compose) with_compose=yes ;;
  *) die "unknown option $1; the only one is --with-compose" ;;
esac

engine_version() { timeout "$ANSWERS_S" docker info --format '{{.ServerVersion}}' 2>/dev/null; }
engine_answers() { [ -n "$(engine_version)" ]; }
has_compose() { docker compose version --short 2>/dev/null | grep -qE '^v?([2-9]|[1-9][0-9])\.'; }
has_buildx() { docker buildx version >/dev/null 2>&1; }
has_plugins() { has_compose && has_buildx; }

# cli_version COMMAND: nothing where it is not Docker's own, such as podman's or a wrapper that is broken.
cli_version() { timeout "$ANSWERS_S" "$1" --version 2>/dev/null | sed -n 's/^Docker version \([0-9][^ ,]*\).*/\1/p'; }

# One of the docker commands of this machine builds with BuildKit: from 23 on only with the plugin buildx, before by itself.
# The rule of `manager build`, which takes the first that can (manager/engine/docker_cli.py).
can_build() {
  local cli version
  while read -r cli; do
    version=$(cli_version "$cli") || :
    [ -n "$version" ] || continue
    if ((${version%%.*} < 23)) || timeout "$ANSWERS_S" "$cli" buildx version >/dev/null 2>&1; then
      return 0
    fi
  done < <(type -ap docker | awk '!seen[$0]++')
  return 1
}
older() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

endpoint() {
  local host=${DOCKER_HOST:-} context=${DOCKER_CONTEXT:-}
  # It prints an empty line for a context that is not there.
  [ -n "$host" ] || host=$(docker context inspect ${context:+"$context"} --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || host=
  echo "${host:-an unknown address}"
}

say_which() {
  local version rootless=
  version=$(engine_version)
  [[ $(docker info --format '{{.SecurityOptions}}' 2>/dev/null) != *rootless* ]] || rootless=', rootless'
  say "Docker Engine $version answers at $(endpoint)$rootless"
  ! older "$version" "$OLDEST_ENGINE" || die "Docker Engine $version is too old: $OLDEST_ENGINE or later is needed"
}

# Who may become root by sudo gets no new rights by the group docker, and need not log in again for `make up`.
join_group() {
  local user
  user=$(id -un)
  if [ -z "${BOTFLEET_JOINED:-}" ] && [ -z "${DOCKER_HOST:-}" ] && command -v sudo >/dev/null && getent group docker >/dev/null; then
    say "a Docker Engine runs, but $user may not use it: adding $user to the group docker (undo: sudo gpasswd -d $user docker)"
    if as_root usermod -aG docker "$user"; then
      say "shells that are open now need a new login before docker or manager is typed in them, or: newgrp docker"
      BOTFLEET_JOINED=yes exec "${0%/*}/in-docker-group.sh" "$0" "${arguments[@]}"
    fi
  fi
  die "a Docker Engine runs, but $user may not use it. Do: sudo usermod -aG docker $user   then log out and in again"
}

# Everything below asks the first docker command of PATH, as a person does.
refuse_what_is_not_docker() {
  local cli words
  cli=$(command -v docker) || return 0
  [ -z "$(cli_version "$cli")" ] || return 0
  words=$(timeout "$ANSWERS_S" "$cli" --version 2>&1 | tail -n 1) || :
  die "$cli is not Docker's own command (docker --version says: ${words:-nothing}). Remove it, or put Docker's before it in PATH; \
podman's is in the package podman-docker"
}

# What a person has to do where this script must not, or cannot, do it.
refuse_what_is_not_ours() {
  local why=
  if command -v docker >/dev/null; then
    why=$(timeout "$ANSWERS_S" docker version 2>&1 >/dev/null || :) # docker info of 20.10 does not say why on stderr
  fi
  if [[ $why == *'permission denied'* ]]; then
    join_group
  elif [ -n "${DOCKER_HOST:-}" ]; then
    die "nothing answers at DOCKER_HOST=$DOCKER_HOST. Start that engine, or unset DOCKER_HOST"
  elif [ -n "${DOCKER_CONTEXT:-}" ] && [ "$DOCKER_CONTEXT" != default ]; then
    die "nothing answers at DOCKER_CONTEXT=$DOCKER_CONTEXT ($(endpoint)). Start that engine, or unset DOCKER_CONTEXT"
  elif command -v docker >/dev/null && [ "$(docker context show 2>/dev/null || echo default)" != default ]; then
    die "the Docker context $(docker context show) does not answer ($(endpoint)). Start that engine, or: docker context use default"
  elif [ "$(uname -s)" != Linux ]; then
    die 'no Docker Engine answers. Install and start Docker Desktop (or Colima, OrbStack …), then try again'
  fi
}

# Starting it does nothing then, and each question to it waits.
refuse_what_stands_still() {
  local folder
  [ -z "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ] || return 0
  for folder in /proc/[0-9]*; do
    if grep -qsx 'Name:[[:space:]]dockerd' "$folder/status" && grep -qs '^State:[[:space:]][Tt]' "$folder/status"; then
      die "the Docker Engine does not answer: its process ${folder#/proc/} was stopped, as by SIGSTOP. Do: sudo kill -CONT ${folder#/proc/}"
    fi
  done
}

# Into the array `packages`: Debian 13 packs the client and the plugins apart, Ubuntu some of them, Debian 12 none.
find_engine_packages() {
  local package
  packages=(containerd runc iptables ca-certificates)
  if is_debian_12; then
    if [ -n "$with_compose" ]; then
      add_trixie
      packages+=(docker.io/trixie docker-cli/trixie docker-compose/trixie docker-buildx/trixie)
    else
      packages+=(docker.io)
    fi
    return
  fi
  for package in docker.io docker-cli docker-buildx; do
    ! has_package "$package" || packages+=("$package")
  done
  package=$(compose_package)
  [ -z "$package" ] || packages+=("$package")
}

# Ubuntu's name for Compose v2, or Debian's where it is no longer the old Compose 1.
compose_package() {
  if has_package docker-compose-v2; then
    echo docker-compose-v2
  elif [[ $(candidate docker-compose) =~ ^([2-9]|[1-9][0-9])\. ]]; then
    echo docker-compose
  fi
}

is_debian_12() { [ "$(os_release VERSION_CODENAME)" = bookworm ] || [ "$(os_release DEBIAN_CODENAME)" = bookworm ]; }

# Debian 13's Compose and buildx run on Debian 12 as they are. Priority 100: nothing else is ever taken from there.
add_trixie() {
  local mirror
  # shellcheck disable=SC2016  # apt-get's own variables
  [ "$(apt-get indextargets --format '$(CODENAME)' 'Created-By: Packages' | grep -cx trixie)" = 0 ] || return 0
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Origin: Debian' | head -n 1)
  [ -n "$mirror" ] || die 'cannot find the Debian mirror in the apt sources of this machine'
  say "Debian 12 has only Compose 1.29; adding Debian 13 (trixie) as a second source, pinned at 100: /etc/apt/sources.list.d/$TRIXIE.sources"
  as_root tee "/etc/apt/preferences.d/$TRIXIE" >/dev/null <<PIN
Package: *
Pin: release n=trixie
Pin-Priority: 100
PIN
  as_root tee "/etc/apt/sources.list.d/$TRIXIE.sources" >/dev/null <<SOURCE
Types: deb
URIs: $mirror
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCE
  apt_update
}

install_engine() {
  local packages
  can_install || die "no Docker Engine answers, and none can be installed here (that needs Debian or Ubuntu, and root or sudo). \
Install Docker Engine $OLDEST_ENGINE or later by your system's own means, start it, and try again"
  say 'no Docker Engine on this machine; reading the package lists'
  apt_update
  find_engine_packages
  install_packages 'a Docker Engine is needed' "${packages[@]}"
}

# is_alive NAME PID: a zombie is not, though its pid still answers (in a container nobody may be there to collect it).
is_alive() { grep -qsx "Name:[[:space:]]$1" "/proc/$2/status" && ! grep -qs '^State:[[:space:]]Z' "/proc/$2/status"; }

running_dockerd() {
  local folder
  for folder in /proc/[0-9]*; do
    ! is_alive dockerd "${folder#/proc/}" || return 0
  done
  return 1
}

start_engine() {
  can_be_root || die 'the Docker Engine is stopped. As root: systemctl start docker'
  if [ -d /run/systemd/system ]; then
    say 'starting the docker service'
    as_root systemctl start docker || say 'systemctl start docker failed'
  elif ! running_dockerd; then
    prepare_without_systemd
    say "no systemd here: starting dockerd in the background, its log is $DOCKERD_LOG"
    # shellcheck disable=SC2016
    as_root bash -c 'setsid dockerd >>"$1" 2>&1 </dev/null &' bash "$DOCKERD_LOG"
  fi
}

# What an init system would have done: no pid files of processes that are gone, and a cgroup tree.
prepare_without_systemd() {
  local name file pid
  while read -r name file; do
    pid=$(as_root cat "$file" 2>/dev/null) || continue
    is_alive "$name" "$pid" || as_root rm -f "$file"
  done <<FILES
dockerd /var/run/docker.pid
containerd /var/run/docker/containerd/containerd.pid
FILES
  if [ -d /sys/fs/cgroup ] && ! grep -qE ' /sys/fs/cgroup(/[a-z,_]+)? cgroup2? ' /proc/mounts; then
    as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup || say 'cannot mount /sys/fs/cgroup; dockerd may refuse to start'
  fi
}

wait_for_engine() {
  local deadline=$((SECONDS + STARTS_S)) forked=$((SECONDS + 3))
  until as_root env DOCKER_HOST=unix:///var/run/docker.sock timeout "$ANSWERS_S" docker info --format '{{.ServerVersion}}' 2>/dev/null | grep -q .; do
    if [ ! -d /run/systemd/system ] && ((SECONDS > forked)) && ! running_dockerd; then
      engine_log >&2
      die 'dockerd ended; the last lines of its log are above'
    elif ((SECONDS >= deadline)); then
      engine_log >&2
      die "the Docker Engine did not answer within $STARTS_S s; the last lines of its log are above"
    fi
    sleep 0.5
  done
}

engine_log() {
  if [ -d /run/systemd/system ]; then
    as_root journalctl --no-pager -u docker -n 20 || :
  else
    as_root tail -n 20 "$DOCKERD_LOG" || :
  fi
}

# install_plugins WHY PLUGIN…: of `buildx` and `compose`, by the names of whoever packed the Docker of this machine.
install_plugins() {
  local why=$1 packages=() package plugin
  shift
  can_install || die "$why. It cannot be installed here (that needs Debian or Ubuntu, and root or sudo): \
add the plugins $* to your Docker (docker info lists those it has), and try again"
  apt_update
  ! is_debian_12 || is_docker_ce || add_trixie
  for plugin in "$@"; do
    package=$(plugin_package "$plugin")
    has_package "${package%/*}" || die "$why, and the package sources of this machine have none: \
install the plugin $plugin by Docker's own packages, https://docs.docker.com/engine/install/, and try again"
    packages+=("$package")
  done
  install_packages "$why" "${packages[@]}"
}

is_docker_ce() { [ "$(dpkg-query -W -f '${Status}' docker-ce-cli 2>/dev/null)" = 'install ok installed' ]; }

plugin_package() {
  if is_docker_ce; then
    echo "docker-$1-plugin"
  elif is_debian_12; then
    echo "docker-$1/trixie"
  elif [ "$1" = compose ]; then
    compose_package
  else
    echo "docker-$1"
  fi
}

# The group may be known already, but not to this shell.
if [ -z "${BOTFLEET_IN_GROUP:-}" ]; then
  BOTFLEET_IN_GROUP=yes exec "${0%/*}/in-docker-group.sh" "$0" "$@"
fi

refuse_what_is_not_docker
if ! engine_answers; then
  refuse_what_stands_still
  refuse_what_is_not_ours
  command -v dockerd >/dev/null || install_engine
  if ! engine_answers; then
    start_engine
    wait_for_engine
    engine_answers || refuse_what_is_not_ours
    engine_answers || die "the Docker Engine runs, but does not answer $(id -un) at $(endpoint)"
  fi
fi
say_which
if [ -n "$with_compose" ] && ! has_plugins; then
  install_plugins 'Docker Compose v2 and buildx are needed' compose buildx
  has_plugins || die 'docker compose (v2) or docker buildx still does not answer'
elif ! can_build; then
  install_plugins "building images needs buildx, which $(command -v docker) has not" buildx
  can_build || die "docker buildx still does not answer: $(docker buildx version 2>&1 | head -n 1)"
fi
