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
  cmake --build "$work/$name" --parallel 1 > "$work/$name/log" || { cat "$work/$name/log"; return 1; }
  "$work/$name/consumer"
  if [ -e "$work/$name/dispatched" ]; then "$work/$name/dispatched"; fi
  echo "install: $name works"
}

try_flags() { # try_flags NAME FLAG... - with the compiler alone
  name=$1
  shift
  g++ -std=c++20 -O1 "$here/consumer.cpp" "$here/consumer_second.cpp" -o "$work/by_$name" "$@"
  "$work/by_$name"
  echo "install: $name works"
}

cmake -S "$top" -B "$work/build" --log-level=WARNING -DLUTRA_DEVELOPER=OFF
cmake --install "$work/build" --prefix "$work/prefix" > /dev/null
export PKG_CONFIG_PATH="$work/prefix/share/pkgconfig"
version=$(pkg-config --modversion lutra)

# Two at a time; each compiles one file after the other. (A shell of its own each, so that set -e counts.)
(
  set -e
  try subdirectory -DLUTRA_SOURCE="$top"
  try_flags plain -I"$work/prefix/include" -I/usr/include/eigen3 ${xsimd:+-I"$xsimd/include"}
  # With the vector instructions of this CPU g++ says nothing false about its own headers, which come first here.
  first=
  if [ "$(uname -m)" = x86_64 ]; then first="-include immintrin.h"; fi
  # shellcheck disable=SC2086  # two words or none
  g++ -std=c++20 -O2 -march=native -Wall -Wextra -Wno-restrict -Werror $first -c "$here/consumer.cpp" \
    -o "$work/warnings.o" -I"$work/prefix/include" -isystem /usr/include/eigen3 ${xsimd:+-isystem "$xsimd/include"}
  echo "install: no warnings"
) > "$work/log" 2>&1 &
second=$!
status=0
(
  set -e
  try find_package -DCMAKE_PREFIX_PATH="$work/prefix" -DLUTRA_XSIMD_ROOT="$xsimd"
  try fetch_content -DLUTRA_SOURCE="$top"
  # shellcheck disable=SC2046  # words on purpose
  try_flags pkg-config "-DEXPECTED_VERSION=\"$version\"" $(pkg-config --cflags lutra)
) &
wait $! || status=1
wait $second || status=1
cat "$work/log"
exit $status
