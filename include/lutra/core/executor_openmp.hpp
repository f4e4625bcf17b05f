// lutra: executor_openmp.hpp - executor over OpenMP; without -fopenmp it runs serially.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <lutra/core/executor.hpp>
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace lutra::inline LUTRA_ABI {

// Dynamic schedule. Safe to share. The first exception of a piece is rethrown on the caller's
// thread once all pieces are done (OpenMP lets none out of a parallel region).
struct openmp_executor {
  int threads = 0;  // 0: what OpenMP chooses

  bool is_serial() const noexcept {
#if defined(_OPENMP)
    return thread_count() == 1;
#else
    return true;
#endif
  }
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
#if defined(_OPENMP)
    const int count = thread_count();
#if LUTRA_HAS_EXCEPTIONS
    std::exception_ptr first;
#pragma omp parallel for schedule(dynamic) num_threads(count)
    for (index_t i = 0; i < n; ++i) {
      try {
        f(i);
      } catch (...) {
#pragma omp critical(lutra_openmp_executor)
        if (!first) first = std::current_exception();
      }
    }
    if (first) std::rethrow_exception(first);
#else
#pragma omp parallel for schedule(dynamic) num_threads(count)
    for (index_t i = 0; i < n; ++i) f(i);
#endif
#else
    serial_executor{}.bulk(n, f);
#endif
  }

#if defined(_OPENMP)
 private:
  int thread_count() const noexcept { return threads > 0 ? threads : omp_get_max_threads(); }
#endif
};
static_assert(executor<openmp_executor>);

}  // namespace lutra::inline LUTRA_ABI
