#if defined(LUTRA_TEST_TBB)  // set by CMake where oneTBB is found

#include <lutra/core/executor_tbb.hpp>

#include <doctest/doctest.h>

#include "core/check_executor.hpp"

namespace {

TEST_CASE("executor_tbb: keeps the contract for every thread count") {
  for (const int threads : {1, 2, 5}) {
    CAPTURE(threads);
    check_executor(lutra::tbb_executor(threads));
  }
}

TEST_CASE("executor_tbb: one thread is serial") {
  CHECK(lutra::is_serial(lutra::tbb_executor(1)));
  CHECK(!lutra::is_serial(lutra::tbb_executor(2)));
}

TEST_CASE("executor_tbb: never uses more threads than asked for") {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  lutra::tbb_executor(2).bulk(200, [&](lutra::index_t) {
    const int now = ++running;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {}
    --running;
  });
  CHECK(most <= 2);
}

}  // namespace

#endif
