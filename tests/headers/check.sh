#!/bin/sh
# sh tests/headers/check.sh [--umbrella] COMPILER [FLAG...] - compiles every header alone, as a translation
# unit, syntax only, under every warning a user may have; with --umbrella only lutra.hpp, which reaches
# all of them. Eigen and xsimd come in by -isystem flags.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
umbrella=
[ "$1" = --umbrella ] && umbrella=1 && shift
compiler=$1
shift
flags="-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
       -Wdouble-promotion -Wold-style-cast -Werror -I$top/include $*"
export compiler flags

# From a one-line file, since "#pragma once in main file" is a warning.
check='
for header; do
  echo "#include <$header>" | $compiler $flags -x c++ - || { echo "FAILED: $header" >&2; exit 1; }
done'
if [ -n "$umbrella" ]; then
  headers=lutra/lutra.hpp
else
  headers=$(cd "$top/include" && find lutra -name '*.hpp' | sort)
fi
echo "$headers" | xargs -P "$(nproc)" -n 4 sh -c "$check" check || exit 1
echo "headers: $(echo "$headers" | wc -l) compile alone with $compiler $*"
