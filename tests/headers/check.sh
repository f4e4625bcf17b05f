#!/bin/sh
# sh tests/headers/check.sh COMPILER [FLAG...] - compiles every header alone, as a translation unit,
# syntax only, under every warning a user may have. Include paths of Eigen and xsimd: as -isystem flags.
set -u
compiler=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
flags="-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
       -Wdouble-promotion -Wold-style-cast -Werror -I$top/include $*"
export compiler flags top

# One header: included from a one-line file, so that "#pragma once in main file" is no warning.
check='
for header; do
  name=${header#"$top/include/"}
  printf "#include <%s>\n" "$name" | $compiler $flags -x c++ - || { echo "FAILED: $name" >&2; exit 1; }
done'
find "$top/include" -name '*.hpp' | grep -v executor_tbb.hpp | sort > /tmp/lutra_headers.$$
count=$(wc -l < /tmp/lutra_headers.$$)
xargs -P "$(nproc)" -n 4 sh -c "$check" check < /tmp/lutra_headers.$$
status=$?
rm -f /tmp/lutra_headers.$$
[ $status = 0 ] && echo "$count headers compile alone with $compiler $*"
exit $status
