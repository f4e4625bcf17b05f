#!/bin/sh
# sh tests/strict_fp/contraction.sh COMPILER [FLAG...] - fails if kernels.cpp, built for a CPU with fused
# multiply-add, holds one; and if a plain a * b + c does not, since the search would then mean nothing.
set -eu
compiler=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $($compiler -dumpmachine) in
  x86_64*) level=-march=x86-64-v3 ;;
  *) level= ;;
esac
fused() { objdump -d "$1" | grep -cE 'vfn?m(add|sub)|fn?m(add|sub)|fml[as]' || true; }

echo 'double control(double a, double b, double c) { return a * b + c; }' > "$work/control.cpp"
$compiler -std=c++20 -O3 $level -c "$work/control.cpp" -o "$work/control.o"
[ "$(fused "$work/control.o")" -gt 0 ] || { echo "$compiler does not fuse a * b + c: nothing to check"; exit 1; }
$compiler -std=c++20 -O3 $level "$@" -I"$here/../../include" -c "$here/kernels.cpp" -o "$work/kernels.o"
count=$(fused "$work/kernels.o")
[ "$count" = 0 ] || {
  echo "$count fused operations in strict code:"
  objdump -dC "$work/kernels.o" | awk '/>:$/ { name = $0 } /vfn?m(add|sub)|fn?m(add|sub)|fml[as]/ { print name; print }' | head -40
  exit 1
}
echo "no fused operation in strict code ($compiler $level)"
