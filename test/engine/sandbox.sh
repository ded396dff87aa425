#!/usr/bin/env bash
# sandbox.sh COMMAND...: runs it, as root, in a network and mounts of its own with a Docker daemon of its own, and takes all away again.
# Where a daemon runs already it is not needed. Needs docker.io and slirp4netns.
set -euo pipefail

if [[ $1 != --inside ]]; then
  folder=$(mktemp -d "${TMPDIR:-/var/tmp}/engine.XXXXXX")
  unshare --net --mount --fork --kill-child bash "$0" --inside "$folder" "$@" &
  inside=$!
  until [[ -s $folder/pid ]] || ! kill -0 $inside 2>/dev/null; do sleep 0.1; done
  # From outside: it carries what the inside sends.
  slirp4netns --configure "$(<"$folder/pid")" tap0 >"$folder/slirp.log" 2>&1 &
  slirp=$!
  status=0
  wait $inside || status=$?
  kill $slirp 2>/dev/null || true
  rm -rf "$folder"
  exit $status
fi

folder=$2
shift 2
mount -t tmpfs tmpfs /run
# systemd in a container makes it read-only, for everybody who shares it.
if [[ $(stat --file-system --format %T /sys/fs/cgroup) == tmpfs ]]; then
  mkdir "$folder/cgroup"
  mount -t tmpfs tmpfs "$folder/cgroup"
  for controller in /sys/fs/cgroup/*/; do
    mkdir "$folder/cgroup/$(basename "$controller")"
    mountpoint --quiet "$controller" && mount --bind "$controller" "$folder/cgroup/$(basename "$controller")"
  done
  mount --move "$folder/cgroup" /sys/fs/cgroup
fi
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
echo $$ >"$folder/pid.part" && mv "$folder/pid.part" "$folder/pid"
until ip -4 address show dev tap0 2>/dev/null | grep -q inet; do sleep 0.1; done

export DOCKER_HOST=unix://$folder/docker.sock
dockerd --host "$DOCKER_HOST" --data-root "$folder/docker" --exec-root /run/docker --pidfile /run/docker.pid >"$folder/dockerd.log" 2>&1 &
daemon=$!
finish() {
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
  kill $daemon && wait $daemon || true
}
trap finish EXIT
until docker info >/dev/null 2>&1; do
  kill -0 $daemon || { tail -5 "$folder/dockerd.log" >&2; exit 1; }
  sleep 0.2
done

# podman shares nothing with the one of this machine, and leaves limits as they are: more than there may be it could not have.
cat >"$folder/containers.conf" <<CONF
[containers]
default_ulimits = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
# crun knows no hybrid cgroups.
if [[ -d /sys/fs/cgroup/unified ]]; then echo 'runtime = "runc"' >>"$folder/containers.conf"; fi
cat >"$folder/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$folder/podman"
runroot = "/run/podman-engine"
CONF
export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf
"$@"
