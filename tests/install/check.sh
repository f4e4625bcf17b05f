#!/bin/sh
# sh tests/install/check.sh - installs lutra into a temporary prefix and builds the same small program
# the five ways a user may: find_package, add_subdirectory, FetchContent, pkg-config, plain -I; with the first two also
# one that holds several levels.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CMAKE_GENERATOR=Ninja
xsimd=
[ -e "$top/.deps/root" ] && xsimd=$top/.deps/root/usr

try() { # try NAME CMAKE_ARGUMENT...
  name=$1
  shift
  cmake -S "$here/$name" -B "$work/$name" --log-level=WARNING "$@"
  cmake --build "$work/$name" > "$work/log" || { cat "$work/log"; return 1; }
  "$work/$name/consumer"
  if [ -e "$work/$name/dispatched" ]; then "$work/$name/dispatched"; fi
  echo "install: $name works"
}

cmake -S "$top" -B "$work/build" --log-level=WARNING -DLUTRA_DEVELOPER=OFF
cmake --install "$work/build" --prefix "$work/prefix" > /dev/null
try find_package -DCMAKE_PREFIX_PATH="$work/prefix" -DLUTRA_XSIMD_ROOT="$xsimd"
try subdirectory -DLUTRA_SOURCE="$top"
try fetch_content -DLUTRA_SOURCE="$top"

sources="$here/consumer.cpp $here/consumer_second.cpp"
version=$(PKG_CONFIG_PATH=$work/prefix/share/pkgconfig pkg-config --modversion lutra)
# shellcheck disable=SC2046,SC2086  # words on purpose
g++ -std=c++20 -O1 "-DEXPECTED_VERSION=\"$version\"" $sources -o "$work/by_pkg_config" \
  $(PKG_CONFIG_PATH=$work/prefix/share/pkgconfig pkg-config --cflags lutra)
"$work/by_pkg_config"
echo "install: pkg-config works"

# shellcheck disable=SC2086
g++ -std=c++20 -O1 $sources -o "$work/by_flags" -I"$work/prefix/include" -I/usr/include/eigen3 ${xsimd:+-I"$xsimd/include"}
"$work/by_flags"
echo "install: plain -I works"
