#!/bin/sh
# sh tests/bench/summary.sh BENCH_SUMMARY - what the table of benchmarks says of goals.
set -eu
summary=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/run.json" << 'END'
{"context": {}, "benchmarks": [
  {"name": "timed", "cpu_time": 20, "time_unit": "ms"},
  {"name": "rated", "cpu_time": 2, "time_unit": "s", "items_per_second": 7e9},
  {"name": "large", "cpu_time": 2, "time_unit": "s", "items_per_second": 7e9, "bytes_per_second": 7e9, "peak_bytes": 8e8},
  {"name": "peer/other/large", "cpu_time": 4, "time_unit": "s", "items_per_second": 3.5e9, "bytes_per_second": 7e9},
  {"name": "roof/copy", "cpu_time": 4, "time_unit": "s", "items_per_second": 7e9, "bytes_per_second": 14e9},
  {"name": "fast", "cpu_time": 3, "time_unit": "ms", "items_per_second": 7.5e9},
  {"name": "roof/mix", "cpu_time": 1, "time_unit": "s", "items_per_second": 9e9},
  {"name": "roof/slow", "cpu_time": 1, "time_unit": "s", "items_per_second": 7.4e9},
  {"name": "peer/other/twin", "cpu_time": 60, "time_unit": "ms"}]}
END
cat > "$work/goals" << 'END'
timed limit/50ms 1 10
timed limit/5G/s 1 2
timed limit/5m 1 2
timed peer/other/twin 4 5
timed peer/absent/timed 1 2
rated limit/5G/s 1 1.2
rated limit/14G/s 1 2
rated limit/5GB/s 1 2
rated limit/1GB 1 2
large limit/1GB 1 2
large roof/copy 0.4 0.6
absent limit/1ms 1 2
fast limit/10G/s 1 2 from roof/mix 8G/s
fast limit/11G/s 1 2 from roof/mix 9.5G/s
fast roof/mix 0.5 0.9 below roof/mix 8G/s
fast roof/slow 1 9 below roof/mix 9.5G/s
fast limit/5ms 1 9 from roof/none 9G/s
fast limit/6ms 1 9 above roof/mix 99G/s
fast limit/7ms 1 9 from roof/mix 99GB/s
END
"$summary" --goals "$work/goals" "$work/run.json" > "$work/table"
says() { # says BENCHMARK TEXT
  grep "^$1 " "$work/table" | grep -qF "$2" || { echo "no '$2' of $1 in"; cat "$work/table"; exit 1; }
}
says timed '2.50x limit/50ms [goal 1, stretch 10: met]'
says timed 'limit/5G/s: not comparable [goal 1, stretch 2: not known]'
says timed 'limit/5m: not available [goal 1, stretch 2: not known]'
says timed '3.00x peer/other/twin [goal 4, stretch 5: MISSED]'
says timed 'peer/absent/timed: not available [goal 1, stretch 2: not known]'
says rated '1.40x limit/5G/s [goal 1, stretch 1.2: stretch met]'
says rated '0.50x limit/14G/s [goal 1, stretch 2: MISSED]'
says rated 'limit/5GB/s: not available [goal 1, stretch 2: not known]'
says rated 'limit/1GB: not comparable [goal 1, stretch 2: not known]'
says large 'peak heap 0.80 GB'
says large '1.25x limit/1GB [goal 1, stretch 2: met]'
says large '2.00x peer/other/large'
says large '50 % of roof/copy [goal 0.4, stretch 0.6: met]'
if grep '^absent' "$work/table"; then exit 1; fi
# Goals of some CPUs: the roof of the run decides. What is no such condition is none.
says fast '0.75x limit/10G/s [goal 1, stretch 2: MISSED]'
says fast '0.68x limit/11G/s [goal 1, stretch 2: not for this CPU]'
says fast '83 % of roof/mix [goal 0.5, stretch 0.9: not for this CPU]'
says fast '101 % of roof/slow [goal 1, stretch 9: met]'
says fast '1.67x limit/5ms [goal 1, stretch 9: met]'
says fast '2.00x limit/6ms [goal 1, stretch 9: met]'
says fast '2.33x limit/7ms [goal 1, stretch 9: met]'
