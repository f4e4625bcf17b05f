#!/bin/sh
# sh scripts/peers.sh - installs what the benchmarks are compared with, as far as it can be had: oneDNN, OpenBLAS, numpy,
# scikit-learn, faiss and torch from Debian; kmeans1d, flash1dkmeans, coremltools and onnxruntime (for their clustering
# and their entropy calibration, with no more than those need) from the Python registry into .deps/peers, which sees
# the Debian packages; ggml from the sources that llama-cpp-python's archive there holds, built into .deps/ggml for this
# CPU and for AVX2 (77 MB to fetch, two minutes on one core). What cannot be installed does not stop the rest: the
# benchmarks show it as "not available", the last line here names it, and the exit status is then 1.
set -u
cd "$(dirname "$0")/.." || exit 1
say() { echo "peers: $*"; }
missing=
lacks() {  # NAME - is not there, whatever was tried
  say "$1: not available"
  missing="$missing $1"
}

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
updated=
for package in libdnnl-dev libopenblas-dev python3-venv python3-numpy python3-sklearn python3-faiss python3-torch; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)
  [ "$state" = installed ] && continue
  say "installing $package"
  [ -n "$updated" ] || $as_root apt-get -qq update
  updated=1
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$package" \
    > /dev/null && continue
  case $package in
    lib*) lacks "$package" ;;
    *) say "$package: cannot be installed" ;;  # what it would bring is looked for at the end
  esac
done

# Debian's interpreter: another one first in PATH would not see Debian's packages. What it leaves when it fails for want
# of pip (python3-venv) would pass for a whole environment.
peers=.deps/peers
if ! $peers/bin/python3 -m pip --version > /dev/null 2>&1; then
  rm -rf $peers
  mkdir -p .deps
  /usr/bin/python3 -m venv --system-site-packages $peers > /dev/null 2>&1 || rm -rf $peers
fi
if [ -x $peers/bin/python3 ]; then
  python=$peers/bin/python3
else
  python=/usr/bin/python3  # which Debian's packages are seen by, all the same
  say "no virtual environment, so nothing from the Python registry (python3-venv makes them)"
fi
# onnx and what follows are what onnxruntime's calibration imports: newer ones than Debian's, but newer ml_dtypes
# need a newer numpy than Debian 12 has; so do newer numba, which flash1dkmeans is compiled by.
for package in kmeans1d flash1dkmeans 'numba<0.62' 'llvmlite<0.45' coremltools onnxruntime onnx protobuf packaging typing_extensions 'ml_dtypes<0.6'; do
  [ -x $peers/bin/python3 ] || break
  module=${package%%<*}
  [ "$module" = protobuf ] && module=google.protobuf
  $python -c "import importlib.util as u, sys
spec = u.find_spec('$module')
sys.exit(not (spec and spec.origin.startswith(sys.prefix)))" 2> /dev/null ||
    $python -m pip install -q --no-deps --ignore-installed "$package" || say "$package: cannot be installed"
done

# Its kernels are called by names that may change, hence the version. One thread, so without OpenMP.
ggml=.deps/ggml
fetch_ggml() {
  rm -rf $ggml
  mkdir -p $ggml/archive
  $python -m pip download -q --no-deps --no-binary llama-cpp-python -d $ggml/archive llama-cpp-python==0.3.36 || return 1
  tar -xzf $ggml/archive/*.tar.gz -C $ggml --strip-components=3 --wildcards '*/vendor/llama.cpp/ggml/include/*' \
    '*/vendor/llama.cpp/ggml/cmake/*' '*/vendor/llama.cpp/ggml/CMakeLists.txt' '*/vendor/llama.cpp/ggml/src/ggml-cpu/*' \
    '*/vendor/llama.cpp/ggml/src/[Cg]*[.]*' || return 1
  rm -r $ggml/archive
  touch $ggml/ggml/ggml.pc.in  # which the archive lacks
}
# What is built depends on the compiler and, natively, on the CPU; both are in what the compiler defines.
build_ggml() {  # FOLDER OPTION [MACHINE_FLAG]
  "${CC:-cc}" ${3:+"$3"} -dM -E -x c /dev/null | sort > "$ggml/$1.wanted"
  [ -f "$ggml/$1/src/libggml-cpu.a" ] && cmp -s "$ggml/$1.wanted" "$ggml/$1.built" && return
  rm -rf "${ggml:?}/$1"
  cmake -S $ggml/ggml -B "$ggml/$1" --log-level=ERROR -Wno-dev -DCMAKE_BUILD_TYPE=Release "$2" -DBUILD_SHARED_LIBS=OFF \
    -DGGML_OPENMP=OFF -DGGML_BUILD_TESTS=OFF -DGGML_BUILD_EXAMPLES=OFF -DGGML_ALL_WARNINGS=OFF > /dev/null &&
    cmake --build "$ggml/$1" --target ggml-cpu --parallel 2 > "$ggml/$1.log" 2>&1 &&
    mv "$ggml/$1.wanted" "$ggml/$1.built"
}
if [ -f $ggml/ggml/ggml.pc.in ] || fetch_ggml; then
  say "ggml $(sed -n 's/^set(GGML_VERSION_[MP][A-Z]* \([0-9]*\))/\1/p' $ggml/ggml/CMakeLists.txt | paste -sd .)"
  build_ggml native -DGGML_NATIVE=ON -march=native || lacks ggml
  # OFF: of what CMake's defaults name, AVX2 is the newest.
  [ "$(uname -m)" = aarch64 ] || build_ggml avx2 -DGGML_NATIVE=OFF || lacks "ggml for AVX2"
else
  lacks ggml
fi

for module in numpy scikit-learn faiss torch kmeans1d flash1dkmeans coremltools onnxruntime; do
  if version=$($python -c "import importlib.metadata as m; print(m.version('$module'))" 2> /dev/null); then
    say "$module $version"
  else
    lacks "$module"
  fi
done
[ -z "$missing" ] && exit
say "missing:$missing"
exit 1
