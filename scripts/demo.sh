#!/bin/sh
# sh scripts/demo.sh [option...] - sets up, builds and runs the main job: a trained MNIST network from
# float32 to 4-bit palettes with int8 tables and int8 activations. Results: build/demo/.
# Options go to the program; --help lists them.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
cmake --preset demo --log-level=WARNING
cmake --build --preset demo
mkdir -p build/demo
exec build/native/examples/mnist "$@"
