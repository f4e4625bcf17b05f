#include <doctest/doctest.h>

#include <cstring>
#include <lutra/core/random.hpp>
#include <lutra/tensor/overlap.hpp>
#include <vector>

using namespace lutra;

namespace {

// The bytes of a view, marked.
template <class T> std::vector<bool> bytes_of_view(const std::byte* base, const tensor_view<T>& v) {
  std::vector<bool> used(4096);
  for_each_element(v, [&](T& e) {
    const auto at = reinterpret_cast<std::byte*>(&e) - base;
    for (std::size_t i = 0; i < sizeof(T); ++i) used[static_cast<std::size_t>(at) + i] = true;
  });
  return used;
}

}  // namespace

TEST_CASE("overlap: never missed, and none seen between separate ranges or rows") {
  alignas(64) static std::byte memory[4096];
  auto* floats = reinterpret_cast<float*>(memory);
  auto* bytes = reinterpret_cast<signed char*>(memory);
  random_stream r(1);
  int overlaps = 0, apart = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto pick = [&](index_t lo, index_t hi) {
      return lo + static_cast<index_t>(r.below(static_cast<std::uint64_t>(hi - lo + 1)));
    };
    const index_t stride = pick(1, 16);
    const bool same = i % 2 == 0;
    const index_t a_strides[2] = {i % 5 == 0 ? -stride : stride, i % 7 == 0 ? 2 : 1};
    const index_t b_strides[2] = {same ? 4 * stride : pick(-40, 40), i % 11 == 0 ? -1 : 1};
    const tensor_view<float> a(floats + 400 + pick(0, 30), shape{pick(0, 6), pick(0, 8)},
                               a_strides);
    const tensor_view<signed char> b(bytes + 1500 + pick(0, 400), shape{pick(0, 6), pick(0, 20)},
                                     b_strides);
    const auto x = bytes_of_view(memory, a), y = bytes_of_view(memory, b);
    bool shared = false;
    for (std::size_t k = 0; k < x.size(); ++k) shared = shared || (x[k] && y[k]);
    const bool seen = may_overlap(a, b);
    CHECK(seen == may_overlap(b, a));
    if (shared) CHECK(seen);
    // Rows as far apart as the other's, each within its own space.
    const bool plain = same && i % 5 != 0 && i % 7 != 0 && i % 11 != 0 && a.extent(1) <= stride &&
                       b.extent(1) <= 4 * stride;
    if (!shared && plain && a.extent(0) > 1 && b.extent(0) > 1) {
      apart += seen ? 0 : 1;
    }
    overlaps += shared ? 1 : 0;
  }
  CHECK(overlaps > 1000);
  CHECK(apart > 500);
  const tensor_view<float> left(floats, shape{5, 3}, std::array<index_t, 2>{8, 1});
  const tensor_view<float> right(floats + 3, shape{5, 5}, std::array<index_t, 2>{8, 1});
  CHECK(!may_overlap(left, right));
  CHECK(
      may_overlap(left, tensor_view<float>(floats + 2, shape{5, 5}, std::array<index_t, 2>{8, 1})));
  CHECK(
      !may_overlap(tensor_view<float>(floats, shape{4}), tensor_view<float>(floats + 4, shape{4})));
  CHECK(
      may_overlap(tensor_view<float>(floats, shape{4}), tensor_view<float>(floats + 3, shape{4})));
  CHECK(!may_overlap(tensor_view<float>(floats, shape{0}), tensor_view<float>(floats, shape{4})));
}
