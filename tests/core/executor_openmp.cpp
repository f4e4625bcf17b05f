#include <lutra/core/executor_openmp.hpp>

#include <doctest/doctest.h>

#include "core/check_executor.hpp"

namespace {

TEST_CASE("executor_openmp: keeps the contract for every thread count") {
  for (const int threads : {0, 1, 2, 5}) {
    CAPTURE(threads);
    check_executor(lutra::openmp_executor{threads});
  }
}

TEST_CASE("executor_openmp: one thread is serial") {
  CHECK(lutra::is_serial(lutra::openmp_executor{1}));
#if defined(_OPENMP)
  CHECK(!lutra::is_serial(lutra::openmp_executor{2}));
  CHECK(lutra::is_serial(lutra::openmp_executor{}) == (omp_get_max_threads() == 1));
#else
  CHECK(lutra::is_serial(lutra::openmp_executor{2}));
#endif
}

#if defined(_OPENMP)
TEST_CASE("executor_openmp: never uses more threads than asked for") {
  for (const int threads : {1, 2}) {
    std::atomic<int> most = 0;
    lutra::openmp_executor{threads}.bulk(64, [&](lutra::index_t) {
      int seen = most;
      while (seen < omp_get_num_threads() &&
             !most.compare_exchange_weak(seen, omp_get_num_threads())) {}
    });
    CHECK(most <= threads);
  }
}

TEST_CASE("executor_openmp: the other pieces still run when one throws") {
  std::atomic<int> calls = 0;
  CHECK_THROWS(lutra::openmp_executor{2}.bulk(50, [&](lutra::index_t i) {
    ++calls;
    if (i == 0) throw std::runtime_error("first");
  }));
  CHECK(calls == 50);
}
#endif

}  // namespace
