#!/bin/sh
# sh scripts/setup.sh - installs what building lutra needs on Debian 12 or 13, if it is missing.
#
# Needs root or sudo only when a package is missing. xsimd must be >= 13; Debian 12 packages 8.1, so
# there the one of Debian 13 is unpacked into .deps/root (headers only, nothing installed).
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
packages="g++ cmake ninja-build libeigen3-dev doctest-dev nlohmann-json3-dev libcli11-dev zlib1g-dev
          libtbb-dev libbenchmark-dev"

say() { echo "setup: $*"; }
stop() {
  echo "setup: $*" >&2
  exit 1
}

[ -r /etc/os-release ] && . /etc/os-release
# A release without VERSION_ID is testing or sid.
if [ "${ID:-}" != debian ] || [ "${VERSION_ID:-99}" -lt 12 ]; then
  stop "this script knows Debian 12 and newer, not '${PRETTY_NAME:-this system}'. Please install:
  g++ >= 12 or clang >= 14, CMake >= 3.25, Ninja, Eigen >= 3.4, xsimd >= 13, doctest, nlohmann-json, CLI11,
  zlib, and optionally oneTBB and Google Benchmark. Then build with: cmake --preset test &&
  cmake --build --preset test && ctest --preset test (-DLUTRA_XSIMD_ROOT=, -DLUTRA_EIGEN_ROOT= name prefixes)."
fi
[ "${VERSION_ID:-99}" -ge 13 ] && packages="$packages libxsimd-dev xtl-dev"

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null | sed -n 's/ installed$//p') || true
missing=
for package in $packages; do
  case "
$installed
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
  esac
done

if [ -n "$missing" ]; then
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || stop "run as root, or install sudo; missing:$missing"
    as_root=sudo
  fi
  say "installing$missing"
  $as_root apt-get -qq update
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing \
    > /dev/null || stop "apt-get could not install:$missing"
fi

xsimd_major() {
  sed -n 's/^#define XSIMD_VERSION_MAJOR \([0-9]*\).*/\1/p' "$1/include/xsimd/config/xsimd_config.hpp" 2>/dev/null
}
if [ "${VERSION_ID:-99}" = 12 ]; then
  root=$top/.deps/root/usr
  if [ "$(xsimd_major "$root")" -ge 13 ] 2>/dev/null; then
    :
  else
    say "unpacking xsimd of Debian 13 into .deps/root"
    sh "$top/scripts/fetch_debs.sh" trixie "$(dpkg --print-architecture)" "$top/.deps/root" libxsimd-dev xtl-dev
    major=$(xsimd_major "$root")
    [ "${major:-0}" -ge 13 ] || stop "xsimd >= 13 is needed, .deps/root has '${major:-none}'"
  fi
fi
