#!/bin/sh
# sh tests/dispatch/isolation.sh LIBRARY CMAKE COMPILER NM OBJCOPY OBJDUMP - a level gives away nothing but its own
# function, and code that would run before main or at exit is refused.
set -eu
library=$1 cmake=$2 compiler=$3 nm=$4 objcopy=$5 objdump=$6
script=$(cd "$(dirname "$0")/../.." && pwd)/cmake/LutraIsolate.cmake
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

levels=$("$nm" --defined-only "$library" | grep -c '\.o:$')
shared=$("$nm" -C --defined-only "$library" | grep ' [A-Z] ' || true)
[ "$(echo "$shared" | grep -c 'kernels_of<')" = "$levels" ] || { echo "not one function per level: $shared"; exit 1; }
[ "$(echo "$shared" | wc -l)" = "$levels" ] || { echo "levels share:"; echo "$shared"; exit 1; }

isolate() { # isolate NAME [FLAG] - the answer of the script, and its status
  "$compiler" -std=c++20 ${2-} -fno-gnu-unique -c "$work/$1.cpp" -o "$work/$1.o" 2> "$work/log" ||
    "$compiler" -std=c++20 ${2-} -c "$work/$1.cpp" -o "$work/$1.o"
  "$cmake" "-DOBJECTS=$work/$1.o" "-DRESULTS=$work/$1.out.o" "-DNM=$nm" "-DOBJCOPY=$objcopy" \
    "-DOBJDUMP=$objdump" \
    -P "$script" 2>&1
}
# The control: before, the function is weak; after, it is gone from what others see.
echo '#include <vector>
int kernel(std::vector<int>& v) { v.push_back(1); return static_cast<int>(v.size()); }' > "$work/plain.cpp"
isolate plain
"$nm" "$work/plain.o" | grep -q ' W ' || { echo "nothing weak: the check means nothing"; exit 1; }
if "$nm" --defined-only "$work/plain.out.o" | grep -E ' [VWu] '; then echo "still weak"; exit 1; fi
"$nm" -C "$work/plain.out.o" | grep -q ' T kernel' || { echo "the function itself is gone"; exit 1; }

refused() { # refused NAME [FLAG] - its code would run before main or at exit
  if isolate "$@" > "$work/answer"; then echo "code outside main was not refused: $*"; exit 1; fi
  tr -s '\n ' ' ' < "$work/answer" | grep -q 'before main' || { cat "$work/answer"; exit 1; }
}
echo 'int start(); int begun = start();' > "$work/file.cpp"
echo 'int start(); inline int begun = start(); int use() { return begun; }' > "$work/inline.cpp"
echo 'int start(); template <class T> struct a { static int v; }; template <class T> int a<T>::v = start();
int use() { return a<int>::v; }' > "$work/template.cpp"
echo 'int count; [[gnu::constructor]] void first() { ++count; }' > "$work/constructor.cpp"
echo '[[gnu::constructor(200)]] void second() { __builtin_trap(); }' > "$work/priority.cpp"
for reserved in 0 1 99 100; do  # those of sanitizers, too
  echo "[[gnu::constructor($reserved)]] void second() { __builtin_trap(); }" > "$work/reserved$reserved.cpp"
  echo "[[gnu::destructor($reserved)]] void last() { __builtin_trap(); }" > "$work/last$reserved.cpp"
done
echo 'int count; [[gnu::destructor]] void last() { ++count; }' > "$work/destructor.cpp"
echo 'extern "C" { static int one() { return 1; } int (*choose())() { return one; } }
int kernel() __attribute__((ifunc("choose")));' > "$work/ifunc.cpp"
reserved="reserved0 reserved1 reserved99 reserved100 last0 last1 last99 last100"
for name in file inline template constructor priority destructor $reserved ifunc; do
  refused $name
done
echo '[[gnu::target_clones("avx2", "default")]] int kernel(int x) { return x + 1; }' > "$work/clones.cpp"
if "$compiler" -std=c++20 -c "$work/clones.cpp" -o "$work/clones.o" 2> "$work/log"; then refused clones; fi  # x86
# What sanitizers and coverage add may stay, beside it nothing.
echo 'int count; int use() { return ++count; }' > "$work/sanitized.cpp"
for flag in -fsanitize=address -fsanitize=thread --coverage; do
  isolate sanitized $flag > "$work/answer" || { cat "$work/answer"; exit 1; }
  for name in file constructor destructor $reserved ifunc; do refused $name $flag; done
done
echo "$levels levels, each with one function for others"
