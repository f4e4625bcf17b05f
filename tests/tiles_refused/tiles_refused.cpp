// A signal stack too small for what a task switch saves makes Linux refuse tiles; products are those of vectors then.
// Once tiles are allowed, it is such stacks that are refused. In a program of its own, since a process that has leave
// keeps it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <latch>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/simd/cpu.hpp>
#include <thread>
#include <vector>

#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// Signals of the calling thread are handled on `memory`; of size 0: on its usual stack.
bool use_signal_stack(std::vector<std::byte>& memory) {
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  stack.ss_flags = memory.empty() ? SS_DISABLE : 0;
  return ::sigaltstack(&stack, nullptr) == 0;
}
// Large enough for vectors: a signal in between would be survived.
constexpr std::size_t small_stack = 8192;

std::uintptr_t handled_at = 0;
extern "C" void handle_signal(int) {
  volatile char here = 0;
  handled_at = reinterpret_cast<std::uintptr_t>(&here);
}
// Handles a signal of the calling thread on its stack for signals.
void raise_signal() {
  struct sigaction action {};
  action.sa_handler = handle_signal;
  action.sa_flags = SA_ONSTACK;
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  REQUIRE(std::raise(SIGUSR1) == 0);
}

}  // namespace

TEST_CASE("tiles_refused: the CPU is said to lack them, and products have the same bits") {
  std::vector<std::byte> memory(small_stack), none;
  // Refused itself where the other case has leave already: then the first question was asked there.
  REQUIRE((use_signal_stack(memory) || (errno == ENOMEM && simd::ask_for_tiles())));
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

  const auto filters = test::random_palette(r, shape{40, 8, 3, 3}, {});
  const auto image = test::random_tensor<std::int8_t>(r, shape{1, 8, 9, 20});
  tensor<std::int32_t> maps(shape{1, 40, 7, 18}), made(maps.extents());
  const auto kernels = reference::integer_weights(filters);
  reference::conv2d<std::int8_t>(view(kernels), view(image), {}, 1, 0, view(maps));
  conv2d(make_lut_matrix(filters), image, {}, made);
  CHECK(made == maps);
  REQUIRE(use_signal_stack(none));
}

TEST_CASE(
    "tiles_refused: a small signal stack of any thread counts, and from then on none is taken") {
  std::latch ready(1), asked(1);
  bool taken = false;
  std::thread other([&] {
    std::vector<std::byte> memory(small_stack), none;
    taken = use_signal_stack(memory);
    ready.count_down();
    asked.wait();
    use_signal_stack(none);
  });
  ready.wait();
  CHECK(!simd::ask_for_tiles());
  CHECK(!simd::tiles_permitted());
  asked.count_down();
  other.join();
  CHECK(taken);
  if (!simd::ask_for_tiles()) {
    MESSAGE("this system allows no tiles");
    return;
  }
  CHECK(!simd::tiles_permitted());  // asked at the first call only
  bool small_taken = true, large_taken = false, on_stack = false, kept = true;
  int reason = 0;
  std::thread later([&] {
    std::vector<std::byte> small(small_stack), large(65536), none;
    small_taken = use_signal_stack(small);
    reason = errno;
    large_taken = use_signal_stack(large);
#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
    // Tiles of a thread outlive a signal on its other stack.
    using A = simd::amx_int8;
    alignas(64) std::int8_t before[1024], after[1024];
    for (int i = 0; i < 1024; ++i) before[i] = static_cast<std::int8_t>(i * 7);
    configure_tiles(simd::tile_shapes{}, A{});
    simd::tile_load<5>(before, 64, A{});
    raise_signal();
    simd::tile_store<5>(after, 64, A{});
    release_tiles(A{});
    kept = std::equal(before, before + 1024, after);
#else
    raise_signal();
#endif
    on_stack = handled_at - reinterpret_cast<std::uintptr_t>(large.data()) < large.size();
    use_signal_stack(none);
  });
  later.join();
  CHECK(!small_taken);
  CHECK(reason == ENOMEM);
  CHECK(large_taken);
  CHECK(on_stack);
  CHECK(kept);
}
