// A signal stack too small for what a task switch saves makes Linux refuse tiles; products are those of vectors then.
// In a program of its own, since a process that has leave keeps it.
#include <doctest/doctest.h>

#include <csignal>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/simd/cpu.hpp>
#include <vector>

#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// Large enough for vectors: a signal in between would be survived.
bool use_small_signal_stack() {
  static std::vector<std::byte> memory(8192);
  stack_t small{};
  small.ss_sp = memory.data();
  small.ss_size = memory.size();
  return ::sigaltstack(&small, nullptr) == 0;
}

}  // namespace

TEST_CASE("tiles_refused: the CPU is said to lack them, and products have the same bits") {
  REQUIRE(use_small_signal_stack());
  CHECK(!simd::tiles_permitted());
  const simd::cpu_words here = simd::with_permissions(simd::read_cpu());
  CHECK(!simd::runs_on(here, simd::amx_int8{}));
  random_stream r(1);
  const auto p = test::random_palette(r, shape{150, 300}, {});
  const auto x = test::random_tensor<std::int8_t>(r, shape{40, 300});
  const auto weights = reference::integer_weights(p);
  tensor<std::int32_t> expected(shape{40, 150});
  reference::gemm<std::int8_t>(view(weights), view(x), view(expected));
  tensor<std::int32_t> out(expected.extents());
  gemm(make_lut_matrix(p), view(x), view(out));
  CHECK(std::ranges::equal(out.elements(), expected.elements()));
}
