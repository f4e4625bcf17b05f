// The executor behind the reference does the work, with its contract and its exceptions.
#include <doctest/doctest.h>
#include <core/check_executor.hpp>
#include <lutra/core/executor_ref.hpp>
#include <noting_executor.hpp>
#include <stdexcept>
#include <vector>

namespace {

// Runs backwards and counts its calls.
struct backward_executor {
  int* calls;
  template <std::invocable<lutra::index_t> F> void bulk(lutra::index_t n, F&& f) const {
    ++*calls;
    for (lutra::index_t i = n; i-- > 0;) f(i);
  }
};

}  // namespace

TEST_CASE("executor_ref: keeps the contract of an executor") {
  const lutra::serial_executor serial;
  check_executor(lutra::executor_ref(serial));
}

TEST_CASE("executor_ref: the executor it refers to does the work") {
  int calls = 0;
  const backward_executor backward{&calls};
  const lutra::executor_ref ref = backward;
  const lutra::executor_ref copy = ref;
  std::vector<lutra::index_t> order;
  const auto note = [&](lutra::index_t i) { order.push_back(i); };
  copy.bulk(4, note);
  CHECK(order == std::vector<lutra::index_t>{3, 2, 1, 0});
  CHECK(calls == 1);
}

TEST_CASE("executor_ref: is as serial as the executor it refers to") {
  int calls = 0;
  const backward_executor silent{&calls};
  const lutra::serial_executor serial;
  CHECK(!lutra::is_serial(lutra::executor_ref(silent)));
  CHECK(lutra::is_serial(lutra::executor_ref(serial)));
  lutra::index_t most = 0;
  for (const bool says : {false, true}) {
    const test::noting_executor noting{says, &most};
    CHECK(lutra::is_serial(lutra::executor_ref(noting)) == says);
  }
}

TEST_CASE("executor_ref: an exception of a piece reaches the caller") {
  const lutra::serial_executor serial;
  const lutra::executor_ref ref = serial;
  CHECK_THROWS_AS(ref.bulk(3, [](lutra::index_t) { throw std::runtime_error("piece"); }),
                  std::runtime_error);
}
