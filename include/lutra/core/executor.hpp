// lutra: executor.hpp - who runs independent pieces of work; the library owns no threads.
// SPDX-License-Identifier: Apache-2.0
//
// An executor runs f(0), ..., f(n-1) in any order, maybe in parallel, and returns when all are done.
// Algorithms cut their work into shards whose number depends on the data alone, never on the
// executor, so results are bit-identical for every executor. Only where no result depends on the cut
// may it follow the executor, which may say that it is serial: exact sums (runtime/gemm.hpp, conv.hpp), counts side
// by side (cluster/lattice.hpp). Adapters: executor_tbb.hpp, executor_openmp.hpp.
#pragma once

#include <concepts>
#include <lutra/core/types.hpp>

namespace lutra::inline LUTRA_ABI {

// clang-format off
template <class E>
concept executor = requires(const E& e, void (*f)(index_t)) {
  e.bulk(index_t{}, f);  // f is called once for each index below n; calls may be concurrent
  // Optional: bool is_serial() const, see below.
};
// clang-format on

// Whether `e` never runs two pieces at once, so that nothing is won by cutting work. An executor says it by an optional
// member bool is_serial() const, which must neither throw nor change while it runs; without one the answer is no.
template <executor E> constexpr bool is_serial(const E& e) {
  if constexpr (requires { static_cast<bool>(e.is_serial()); }) {
    return static_cast<bool>(e.is_serial());
  } else {
    return false;
  }
}

// Runs everything on the calling thread, in order. Stateless, safe to share. Not to be derived from: what runs
// otherwise would say that it is serial.
struct serial_executor final {
  static constexpr bool is_serial() noexcept { return true; }
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(i);
  }
};
static_assert(executor<serial_executor>);

// Half-open range of shard `i` when `total` items are cut into `count` nearly equal shards.
struct index_range {
  index_t begin = 0;
  index_t end = 0;
  constexpr index_t size() const noexcept { return end - begin; }
};
constexpr index_range shard(index_t total, index_t count, index_t i) noexcept {
  const index_t base = total / count;
  const index_t extra = total % count;
  const index_t begin = i * base + (i < extra ? i : extra);
  return {begin, begin + base + (i < extra ? 1 : 0)};
}

}  // namespace lutra::inline LUTRA_ABI
