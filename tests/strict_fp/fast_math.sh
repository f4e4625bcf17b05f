#!/bin/sh
# sh tests/strict_fp/fast_math.sh COMPILER [FLAG...] - numeric headers must refuse -ffast-math, must accept it
# with LUTRA_ALLOW_FAST_MATH.
set -u
compiler=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
flags="-std=c++20 -O3 $* -I$here/../../include"
for header in affine/quantize cluster/exact_1d observe/moving_average palette/palettize palette/restore; do
  line="#include <lutra/$header.hpp>"
  # The refusal comes first, and after it nothing need be compiled.
  # shellcheck disable=SC2086
  if text=$(echo "$line" | $compiler $flags -ffast-math -Wfatal-errors -fsyntax-only -x c++ - 2>&1); then
    echo "$header accepts -ffast-math"
    exit 1
  fi
  case $text in *LUTRA_ALLOW_FAST_MATH*) ;; *) echo "$header: unclear refusal: $text"; exit 1 ;; esac
done
# shellcheck disable=SC2086
echo "$line" | $compiler $flags -ffast-math -DLUTRA_ALLOW_FAST_MATH -fsyntax-only -x c++ - || exit 1
echo "numeric headers refuse -ffast-math, and accept it when told to"
