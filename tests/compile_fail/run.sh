#!/bin/sh
# Wrong adaptations must not compile, and the compiler must name the concept they miss.
# Usage: run.sh FILE.cpp COMPILER FLAG...   (one case; FILE's first line says "// CONCEPT: name")
# As it is the file must compile; with -DLUTRA_WRONG=1 it must not, which keeps the test from failing for a
# stale reason.
set -u
LC_ALL=C
export LC_ALL
file=$1
shift
concept=$(sed -n 's,^// CONCEPT: ,,p;1q' "$file")
output=$("$@" -std=c++20 -fsyntax-only "$file" 2>&1)
if [ $? -ne 0 ]; then
  printf '%s\n' "$output" "FAILED: $file does not compile as it is"
  exit 1
fi
output=$("$@" -std=c++20 -fsyntax-only -DLUTRA_WRONG=1 "$file" 2>&1)
if [ $? -eq 0 ]; then
  echo "FAILED: $file compiles with LUTRA_WRONG"
  exit 1
fi
# Not just anywhere: file names would match too.
blame='(satisfaction of|constraints of|does not satisfy|because|evaluated to false|concept)'
if ! printf '%s\n' "$output" | grep -Eq "$blame.*[^a-z_]$concept([^a-z_.]|\$)"; then
  printf '%s\n' "$output" "FAILED: the compiler does not name $concept"
  exit 1
fi
echo "$(basename "$file"): refused, $concept named, $(printf '%s\n' "$output" | wc -l) lines"
