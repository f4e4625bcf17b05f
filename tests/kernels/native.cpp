// What the tests of runtime and ir, the demo and others link instead of compiling kernels each.
#include <lutra/runtime/kernels.hpp>
