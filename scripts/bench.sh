#!/bin/sh
# sh scripts/bench.sh [--smoke] [--json FILE] [FILTER] - sets up, builds and runs the benchmarks whose name
# matches the regular expression FILTER, and prints each against its peers and roofs of the same run.
# --smoke: only that they run; the figures mean nothing. --json: all results in one file.
set -eu
cd "$(dirname "$0")/.."
time= json= filter=.
while [ $# -gt 0 ]; do
  case $1 in
    --smoke) time=--benchmark_min_time=0.001 ;;
    --json) json=$2; shift ;;
    *) filter=$1 ;;
  esac
  shift
done
sh scripts/setup.sh
cmake --preset bench --log-level=WARNING
cmake --build --preset bench
rm -rf build/bench
mkdir -p build/bench
for program in build/native/bench/bench_*; do
  name=$(basename "$program")
  [ "$name" = bench_summary ] && continue
  "$program" "--benchmark_filter=$filter" ${time:+"$time"} "--benchmark_out=build/bench/$name.json" \
    --benchmark_out_format=json > "build/bench/$name.log" 2>&1 || { cat "build/bench/$name.log"; exit 1; }
done
build/native/bench/bench_summary ${json:+--json "$json"} build/bench/*.json
