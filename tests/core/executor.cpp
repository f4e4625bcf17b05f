#include <lutra/core/executor.hpp>

#include <doctest/doctest.h>

#include "core/check_executor.hpp"

#include <type_traits>

namespace {

TEST_CASE("executor: serial_executor keeps the contract, in order") {
  check_executor(lutra::serial_executor{});
  std::vector<lutra::index_t> order;
  lutra::serial_executor{}.bulk(4, [&](lutra::index_t i) { order.push_back(i); });
  CHECK(order == std::vector<lutra::index_t>{0, 1, 2, 3});
}

TEST_CASE("executor: serial_executor stops at an exception") {
  int calls = 0;
  CHECK_THROWS(lutra::serial_executor{}.bulk(9, [&](lutra::index_t i) {
    ++calls;
    if (i == 2) throw std::runtime_error("stop");
  }));
  CHECK(calls == 3);
}

TEST_CASE("executor: shards are nearly equal, ordered and cover everything once") {
  for (lutra::index_t total = 0; total < 40; ++total) {
    for (lutra::index_t count = 1; count < 12; ++count) {
      lutra::index_t end = 0;
      for (lutra::index_t i = 0; i < count; ++i) {
        const auto range = lutra::shard(total, count, i);
        CHECK(range.begin == end);
        CHECK(range.size() >= total / count);
        CHECK(range.size() <= (total + count - 1) / count);
        end = range.end;
      }
      CHECK(end == total);
    }
  }
}

struct not_an_executor {
  void run() const {}
};
struct own_executor {  // a user's class: runs backwards
  template <class F> void bulk(lutra::index_t n, F&& f) const {
    while (n > 0) f(--n);
  }
};
static_assert(!lutra::executor<not_an_executor>);
static_assert(lutra::executor<own_executor>);

// Says so only when it runs: a pool of as many threads as it was given.
struct pool_of {
  int threads;
  bool is_serial() const { return threads == 1; }
  template <class F> void bulk(lutra::index_t n, F&& f) const { own_executor{}.bulk(n, f); }
};
static_assert(lutra::is_serial(lutra::serial_executor{}));
static_assert(std::is_final_v<lutra::serial_executor>);
static_assert(!lutra::is_serial(own_executor{}));  // says nothing

TEST_CASE("executor: whether it is serial is what it says, else no") {
  CHECK(lutra::is_serial(pool_of{1}));
  CHECK(!lutra::is_serial(pool_of{2}));
}

TEST_CASE("executor: any order gives the same bits") { check_executor(own_executor{}); }

}  // namespace
