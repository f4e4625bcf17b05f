#!/bin/sh
# sh tests/headers/check.sh [--umbrella] COMPILER [FLAG...] - compiles every header alone, as a translation unit, syntax
# only, under every warning a user may have (alone.py, with a clang); with --umbrella, any compiler, only lutra.hpp,
# which reaches all of them. Eigen and xsimd come in by -isystem flags.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
umbrella=
[ "$1" = --umbrella ] && umbrella=1 && shift
compiler=$1
shift
flags="-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
       -Wdouble-promotion -Wold-style-cast -Werror -I$top/include $*"
if [ -z "$umbrella" ]; then
  # shellcheck disable=SC2086  # words on purpose
  exec python3 "$top/tests/headers/alone.py" "$compiler" $flags
fi
# From a one-line file, since "#pragma once in main file" is a warning.
# shellcheck disable=SC2086
if ! echo "#include <lutra/lutra.hpp>" | $compiler $flags -fsyntax-only -x c++ -; then
  echo "FAILED: lutra/lutra.hpp" >&2
  exit 1
fi
echo "headers: all compile with $compiler $*"
