#!/bin/sh
# sh scripts/peers.sh - installs what the benchmarks are compared with, as far as it can be had: oneDNN, OpenBLAS, numpy,
# scikit-learn, faiss and torch from Debian; kmeans1d, flash1dkmeans, coremltools and onnxruntime (for their clustering
# and their entropy calibration, with no more than those need) from the Python registry into .deps/peers, which sees
# the Debian packages; ggml from the sources that llama-cpp-python's archive there holds, built into .deps/ggml for this
# CPU and for AVX2 (77 MB to fetch, two minutes on one core). What cannot be installed is named and later shown as
# "not available".
set -u
cd "$(dirname "$0")/.." || exit 1
say() { echo "peers: $*"; }

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
    > /dev/null || say "$package: not available"
done

# Debian's interpreter: another one first in PATH would not see Debian's packages.
python=.deps/peers/bin/python3
if [ ! -x $python ]; then
  mkdir -p .deps
  /usr/bin/python3 -m venv --system-site-packages .deps/peers || { say "no virtual environment"; exit 1; }
fi
# onnx and what follows are what onnxruntime's calibration imports: newer ones than Debian's, but newer ml_dtypes
# need a newer numpy than Debian 12 has; so do newer numba, which flash1dkmeans is compiled by.
for package in kmeans1d flash1dkmeans 'numba<0.62' 'llvmlite<0.45' coremltools onnxruntime onnx protobuf packaging typing_extensions 'ml_dtypes<0.6'; do
  module=${package%%<*}
  [ "$module" = protobuf ] && module=google.protobuf
  $python -c "import importlib.util as u, sys
spec = u.find_spec('$module')
sys.exit(not (spec and spec.origin.startswith(sys.prefix)))" 2> /dev/null ||
    $python -m pip install -q --no-deps --ignore-installed "$package" || say "$package: not available"
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
build_ggml() {  # FOLDER OPTION
  [ -f "$ggml/$1/src/libggml-cpu.a" ] && return
  cmake -S $ggml/ggml -B "$ggml/$1" --log-level=ERROR -Wno-dev -DCMAKE_BUILD_TYPE=Release "$2" -DBUILD_SHARED_LIBS=OFF \
    -DGGML_OPENMP=OFF -DGGML_BUILD_TESTS=OFF -DGGML_BUILD_EXAMPLES=OFF -DGGML_ALL_WARNINGS=OFF > /dev/null &&
    cmake --build "$ggml/$1" --target ggml-cpu --parallel 2 > "$ggml/$1.log" 2>&1
}
ggml_version="not available"
if [ -f $ggml/ggml/ggml.pc.in ] || fetch_ggml; then
  ggml_version=$(sed -n 's/^set(GGML_VERSION_[MP][A-Z]* \([0-9]*\))/\1/p' $ggml/ggml/CMakeLists.txt | paste -sd .)
  for build in native avx2; do
    [ $build = native ] && on=ON || on=OFF  # OFF: of what CMake's defaults name, AVX2 is the newest
    [ "$build $(uname -m)" = "avx2 aarch64" ] || build_ggml $build -DGGML_NATIVE=$on || say "ggml, $build: not built"
  done
fi
[ -f $ggml/native/src/libggml-cpu.a ] || ggml_version="not available"
say "ggml $ggml_version"

for module in numpy scikit-learn faiss torch kmeans1d flash1dkmeans coremltools onnxruntime; do
  version=$($python -c "import importlib.metadata as m; print(m.version('$module'))" 2> /dev/null) ||
    version="not available"
  say "$module $version"
done
