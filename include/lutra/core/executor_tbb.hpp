// lutra: executor_tbb.hpp - executor over oneTBB; include it only where oneTBB is available.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <lutra/core/executor.hpp>

namespace lutra::inline LUTRA_ABI {

// At most `threads` threads. Safe to share; an exception of one piece reaches the caller.
class tbb_executor {
 public:
  explicit tbb_executor(int threads) : threads_(threads) {}
  bool is_serial() const noexcept { return threads_ == 1; }
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    tbb::task_arena arena(threads_);
    arena.execute([&] { tbb::parallel_for(index_t{0}, n, [&](index_t i) { f(i); }); });
  }

 private:
  int threads_;
};
static_assert(executor<tbb_executor>);

}  // namespace lutra::inline LUTRA_ABI
