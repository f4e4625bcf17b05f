#!/bin/sh
# Wrong adaptations must not compile, and the compiler must name the concept they miss.
# Usage: run.sh FILE.cpp COMPILER FLAG...   (one case; FILE's first line says "// CONCEPT: name")
# It must not compile with -DLUTRA_WRONG=1; that it does without, which keeps the test from failing for a stale reason, is
# the test compile_fail_right.
set -u
LC_ALL=C
export LC_ALL
file=$1
shift
concept=$(sed -n 's,^// CONCEPT: ,,p;1q' "$file")
output=$("$@" -DLUTRA_WRONG=1 "$file" 2>&1)
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
