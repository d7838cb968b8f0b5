#!/bin/bash
# Boots a fresh machine: init.sh ROOT BINDS, as pid 1 of namespaces of its own. It mounts what an init system would, makes ROOT
# the root of its mount namespace, says "ready PID" and waits until its stdin ends. With pid 1 the kernel ends all that runs in it.
set -euo pipefail
root=$1 binds=$2
read -r pid _ </proc/self/stat # /proc is still the outer one, and so is this number

mount --bind "$root" "$root"
while IFS=$'\t' read -r source target mode; do
  if [ -d "$source" ]; then
    mkdir -p "$root$target"
  else
    mkdir -p "$(dirname "$root$target")"
    touch "$root$target"
  fi
  mount --bind "$source" "$root$target"
  [ "$mode" = rw ] || mount -o remount,bind,ro "$root$target"
done <"$binds"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
while read -r name major minor; do
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<'DEVICES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
DEVICES
mknod -m 660 "$root/dev/loop-control" c 10 237
for number in {0..15}; do mknod -m 660 "$root/dev/loop$number" b 7 "$number"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

# The control groups that the outer machine has, from this machine's own group down.
cgroups=$root/sys/fs/cgroup
if grep -q ' /sys/fs/cgroup cgroup2 ' /proc/mounts; then
  mount -t cgroup2 cgroup2 "$cgroups"
  echo 1 >"$cgroups/init/cgroup.procs"
else
  mount -t tmpfs -o mode=755 tmpfs "$cgroups"
  while read -r _ point kind options _; do
    [[ $point == /sys/fs/cgroup/* ]] || continue
    controllers=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|nosuid|nodev|noexec|(no|rel|strict)atime|xattr|clone_children|release_agent=.*|ns[a-z]*|memory_.*' |
      paste -sd, || :)
    mkdir -p "$cgroups/${point##*/}"
    if [ "$kind" = cgroup2 ]; then
      mount -t cgroup2 cgroup2 "$cgroups/${point##*/}"
    elif [ "$kind" = cgroup ] && [ ! -L "$point" ]; then
      mount -t cgroup -o "$controllers" cgroup "$cgroups/${point##*/}"
    fi
  done </proc/mounts
fi

echo fresh >/proc/sys/kernel/hostname
mkdir "$root/.outer"
cd "$root"
pivot_root . .outer
umount --lazy /.outer
rmdir /.outer
exec /bin/bash -c 'echo "ready $1"; while read -r _; do :; done' init "$pid"
