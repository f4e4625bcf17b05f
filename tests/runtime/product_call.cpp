#include <doctest/doctest.h>

#include <lutra/runtime/product_call.hpp>
#include <string>
#include <vector>

#include "noting_executor.hpp"

using namespace lutra;

namespace {

struct weight {};
struct factor {
  int of = 2;
};
struct rounding {
  int to = 1;
};

// Writes who runs it, the options and the output it got.
struct noting_product {
  template <class A, class E, class Out>
  static void run(std::string_view name, const E& ex, const weight&,
                  const tensor_view<const float>& x, const tensor_view<Out>& out, const factor& f,
                  const rounding& r) {
    CHECK(name == "noting");
    CHECK(x.extent(0) == 3);
    ex.bulk(5, [](index_t) {});
    out.data()[0] = f.of;
    out.data()[1] = r.to;
    out.data()[2] = std::is_same_v<A, simd::portable> ? 1 : 0;
  }
};
constexpr product_call<noting_product, rounding, factor> noting{"noting"};

}  // namespace

TEST_CASE("product_call: executor, output and level may be left out, each on its own") {
  const weight w;
  std::vector<float> x(3);  // not const: products read it
  const int native = std::is_same_v<simd::native, simd::portable> ? 1 : 0;
  const auto gives = [](std::vector<int> expected, auto&& call) {
    std::vector<int> out(3, -1);
    call(out);
    CHECK(out == expected);
  };
  gives({2, 1, native}, [&](auto& out) { noting(w, x, {}, out); });
  gives({7, 1, native}, [&](auto& out) { noting(w, x, {.of = 7}, out); });
  gives({2, 1, 1}, [&](auto& out) { noting(w, x, {}, out, simd::portable{}); });
  gives({2, 1, native}, [&](auto& out) { noting(w, x, {}, {}, out); });
  gives({2, 9, native}, [&](auto& out) { noting(w, x, {}, {.to = 9}, out); });
  gives({3, 9, 1}, [&](auto& out) { noting(w, x, {3}, rounding{9}, out, simd::portable{}); });
  std::vector<int> out(3);  // a temporary view is written through
  noting(w, x, {}, tensor_view<int>(out.data(), shape{3}));
  CHECK(out[0] == 2);
  const auto pieces = [&](auto&& call) { return test::most_pieces(false, call); };
  CHECK(pieces([&](const auto& ex) { noting(ex, w, x, {}, out); }) == 5);
  CHECK(pieces([&](const auto& ex) { noting(ex, w, x, {}, out, simd::portable{}); }) == 5);
  CHECK(pieces([&](const auto& ex) { noting(ex, w, x, {}, {}, out); }) == 5);
  CHECK(pieces([&](const auto& ex) { noting(ex, w, x, {4}, rounding{6}, out, {}); }) == 5);
  CHECK(out == std::vector<int>{4, 6, native});
}
