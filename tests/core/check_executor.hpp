// What every executor promises, for the tests of each.
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

// Every index below n exactly once, and all done when bulk returns.
template <lutra::executor E> void check_covers_every_index(const E& e) {
  for (const lutra::index_t n : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(n));
    e.bulk(n, [&](lutra::index_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& c : calls) CHECK(c == 1);
  }
}

// A floating-point sum over shards, as the algorithms do it: shards depend on the data alone, and
// are added in order, so the bits do not depend on the executor.
template <lutra::executor E> double sharded_sum(const E& e) {
  constexpr lutra::index_t total = 10'007;
  constexpr lutra::index_t count = 13;
  std::vector<double> parts(count);
  e.bulk(count, [&](lutra::index_t s) {
    const auto range = lutra::shard(total, count, s);
    double sum = 0;
    for (auto i = range.begin; i < range.end; ++i) {
      sum += lutra::random_stream(7, static_cast<std::uint64_t>(i)).normal();
    }
    parts[static_cast<std::size_t>(s)] = sum;
  });
  double sum = 0;
  for (const double p : parts) sum += p;
  return sum;
}

// An exception of one piece reaches the caller, as itself, and the executor works afterwards.
template <lutra::executor E> void check_passes_exceptions_on(const E& e) {
  const auto throwing = [&](lutra::index_t i) {
    if (i == 5) throw std::out_of_range("piece 5");
  };
  CHECK_THROWS_WITH_AS(e.bulk(20, throwing), "piece 5", std::out_of_range);
  check_covers_every_index(e);
}

template <lutra::executor E> void check_executor(const E& e) {
  check_covers_every_index(e);
  CHECK(sharded_sum(e) == sharded_sum(lutra::serial_executor{}));
  check_passes_exceptions_on(e);
}
