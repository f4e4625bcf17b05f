#!/bin/sh
# sh scripts/bench.sh [--smoke] [--repetitions N] [--peers-slow] [--json FILE] [FILTER] - sets up, builds and runs
# the benchmarks whose name matches the regular expression FILTER, and prints each against its peers and roofs of
# the same run.
# --smoke: only that they run; the figures mean nothing, and peers are left out.
# --repetitions: each N times in random order, and the median of each. On a shared machine memory is fast at one
# moment and slow at the next: 9 make ratios to roofs trustworthy.
# --json: all results in one file.
# Peers in Python (bench/peers) run if sh scripts/peers.sh has installed them; --peers-slow: also those that take
# over 20 seconds, and ours that do. Roofs always run with what is measured by them.
set -eu
cd "$(dirname "$0")/.."
time= repeat= json= filter=. smoke= slow= goals=
while [ $# -gt 0 ]; do
  case $1 in
    --smoke) time=--benchmark_min_time=0.001 smoke=1 ;;
    --repetitions) repeat="--benchmark_repetitions=$2 --benchmark_enable_random_interleaving=true"; shift ;;
    --peers-slow) slow=--slow; export LUTRA_BENCH_SLOW=1 ;;
    --json) json=$2; shift ;;
    *) filter=$1 ;;
  esac
  shift
done
sh scripts/setup.sh
build=build/native
if [ -n "$smoke" ]; then  # built quickly, in a folder of its own
  build=build/smoke
  cmake --preset bench -B $build --log-level=WARNING "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG"
else
  cmake --preset bench --log-level=WARNING
fi
cmake --build $build --target bench
# Of peers as of ours: one thread, and the code they choose for this CPU.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
unset OPENBLAS_CORETYPE OPENBLAS_VERBOSE DNNL_MAX_CPU_ISA ONEDNN_MAX_CPU_ISA
results=build/bench
rm -rf $results
mkdir -p $results/data
wanted=.
[ "$filter" = . ] || wanted="($filter)|^roof/|^peer/memcpy"
for program in $build/bench/bench_*; do
  name=$(basename "$program")
  [ "$name" = bench_summary ] && continue
  "$program" --benchmark_list_tests "--benchmark_filter=$filter" 2> /dev/null | grep -q . || continue
  LUTRA_BENCH_DATA=$results/data "$program" "--benchmark_filter=$wanted" ${time:+"$time"} $repeat \
    "--benchmark_out=$results/$name.json" --benchmark_out_format=json > "$results/$name.log" 2>&1 ||
    { cat "$results/$name.log"; exit 1; }
done

# The interpreter that sees the packages of scripts/peers.sh, else the system's.
python=.deps/peers/bin/python3
[ -x $python ] || python=/usr/bin/python3
peer() {
  PYTHONDONTWRITEBYTECODE=1 $python "bench/peers/$1.py" --filter "$filter" $slow \
    --out "$results/peer_$1.json" $2 > "$results/peer_$1.log" 2>&1 ||
    { echo "peers of bench/peers/$1.py: not available (sh scripts/peers.sh)"; tail -n 1 "$results/peer_$1.log"; }
}
if [ -z "$smoke" ]; then
  peer palettize_peers "--data $results/data"
  peer torch_observers ""
fi
[ -n "$smoke" ] || goals="--goals bench/goals.txt"
# The code that peers have chosen.
sed -n 's|^ *"\(peer/[a-z]*\)": "\([^"]*\)",*$|\1: \2|p' $results/bench_runtime.json 2> /dev/null || true
$build/bench/bench_summary $goals ${json:+--json "$json"} $results/*.json
# Whether torch, where it is installed, gives the same bits as what it is compared with.
if [ -z "$smoke" ] && echo peer/torch/fake_quantize | grep -Eq "$filter" && $python -c "import torch" 2> /dev/null; then
  PYTHONDONTWRITEBYTECODE=1 $python bench/peers/torch_parity.py $build/bench/torch_parity
fi
