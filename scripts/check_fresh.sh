#!/bin/sh
# sh scripts/check_fresh.sh [SUITE] [COMMAND...] - the README's commands as a stranger sees them: in a
# new Debian (bookworm, trixie; default bookworm) that holds nothing but a base system and git, on a clean
# clone of HEAD. Default commands: "sh scripts/demo.sh" "sh scripts/test.sh". Needs root and debootstrap.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-bookworm}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- "sh scripts/demo.sh" "sh scripts/test.sh"
[ "$(id -u)" = 0 ] || { echo "check_fresh: needs root (debootstrap, chroot)" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "check_fresh: install debootstrap" >&2; exit 1; }

root=$(mktemp -d "${TMPDIR:-/tmp}/lutra_fresh.XXXXXX")
cleanup() {
  for mount in dev/pts dev proc; do umount -l "$root/$mount" 2> /dev/null || true; done
  # Never delete through a mount that is still there.
  if ! grep -q " $root/" /proc/mounts; then rm -rf "$root"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# The mirror that this machine uses, from its own sources of either form.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2> /dev/null |
  sed -n -e 's/^URIs:[ ]*\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' | head -n 1)

begin=$(date +%s)
timed() { # timed LABEL - seconds since the last call
  now=$(date +%s)
  echo "check_fresh: $1 took $((now - begin)) s"
  begin=$now
}

debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$root" "$mirror" > "$root.log" 2>&1 ||
  { tail -n 20 "$root.log"; rm -f "$root.log"; exit 1; }
rm -f "$root.log"
# How this machine reaches its mirror is configuration, too.
for file in /etc/resolv.conf /etc/hosts; do cp -L "$file" "$root$file"; done
for file in /etc/apt/apt.conf.d/*; do
  grep -qiE 'proxy|acquire' "$file" && cp "$file" "$root/etc/apt/apt.conf.d/"
done
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
timed "making a $suite system"

git clone -q --no-local "$top" "$root/lutra"
echo "check_fresh: clone of $(git -C "$top" rev-parse --short HEAD) in a fresh $suite"
for command; do
  echo "check_fresh: \$ $command"
  chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
    sh -c "cd /lutra && $command"
  timed "'$command'"
done
echo "check_fresh: $suite passed"
