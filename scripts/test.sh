#!/bin/sh
# sh scripts/test.sh - sets up, builds all tests and examples, and runs them.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
cmake --preset test --log-level=WARNING
cmake --build --preset test
exec ctest --preset test
