#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/tensor/overlap.hpp>
#include <vector>

#include "errors.hpp"
#include "quick.hpp"

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
  const int rounds = test::quick() ? 2000 : 20000;
  for (int i = 0; i < rounds; ++i) {
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
  CHECK(overlaps > rounds / 20);
  CHECK(apart > rounds / 40);
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

TEST_CASE("overlap: no view that shares an address passes, and every permuted or cut one does") {
  static std::byte memory[4096];
  auto* shorts = reinterpret_cast<std::uint16_t*>(memory);
  random_stream r(2);
  const auto pick = [&](index_t lo, index_t hi) {
    return lo + static_cast<index_t>(r.below(static_cast<std::uint64_t>(hi - lo + 1)));
  };
  int shared = 0, nested = 0;
  const int rounds = test::quick() ? 2000 : 20000;
  for (int i = 0; i < rounds; ++i) {
    const shape s{pick(0, 4), pick(1, 4), pick(1, 4)};
    index_t strides[3] = {pick(-20, 20), pick(-20, 20), pick(-6, 6)};
    const bool in_order = i % 2 == 0;  // some order of axes, gaps and signs: all separate
    if (in_order) {
      index_t step = 1;
      for (int k = 0; k < 3; ++k) {
        const auto axis = static_cast<std::size_t>((k * (1 + i % 4 / 2) + i / 4) % 3);
        step += pick(0, 2);
        strides[axis] = i % (k + 3) == 0 ? -step : step;
        step *= std::max<index_t>(s[static_cast<int>(axis)], 1);
      }
    }
    const tensor_view<std::uint16_t> v(shorts + 1000, s, strides);
    std::vector<std::uint16_t*> at;
    for_each_element(v, [&](std::uint16_t& e) { at.push_back(&e); });
    std::ranges::sort(at);
    const bool once = std::ranges::adjacent_find(at) == at.end();
    const bool separate = has_separate_elements(v);
    if (!once) CHECK(!separate);
    if (in_order) CHECK(separate);
    shared += once ? 0 : 1;
    nested += in_order ? 1 : 0;
  }
  CHECK(shared > rounds / 20);
  CHECK(nested == rounds / 2);
  const index_t lowest = std::numeric_limits<index_t>::min();
  const index_t unused[2] = {0, lowest};
  CHECK(has_separate_elements(tensor_view<std::uint16_t>(shorts, shape{1, 1}, unused)));
  CHECK(has_separate_elements(tensor_view<std::uint16_t>(shorts, shape{}, {})));
}

TEST_CASE("overlap: alignment counts where there are elements") {
  alignas(8) static std::byte memory[64];
  for (int shift = 0; shift < 8; ++shift) {
    auto* doubles = reinterpret_cast<double*>(memory + shift);
    CHECK(misalignment_of(tensor_view<double>(doubles, shape{2, 3})) == shift);
    CHECK(misalignment_of(tensor_view<double>(doubles, shape{2, 0})) == 0);
    auto* bytes = reinterpret_cast<signed char*>(memory + shift);
    CHECK(misalignment_of(tensor_view<signed char>(bytes, shape{5})) == 0);
  }
}

TEST_CASE("overlap: what is refused says which bytes, and which would do") {
  alignas(8) static std::byte memory[64];
  const tensor_view<const std::byte> x(memory + 16, shape{2, 8});
  const auto out_at = [&](index_t first) {
    return tensor_view<std::int32_t>(reinterpret_cast<std::int32_t*>(memory + first), shape{2, 2});
  };
  CHECK_ERROR(check_memory(x, out_at(20), "there"), invalid_argument, "out overlaps x (there)",
              "got bytes 4..19 from where x begins, allowed: outside of 0..15");
  CHECK_ERROR(check_memory(x, out_at(4), "there"), invalid_argument, "got bytes -12..3 ");
  check_memory(x, out_at(0), "there");
  check_memory(x, out_at(32), "there");
  std::vector<std::int32_t> bias(3);
  const tensor_view<std::int32_t> on_bias(bias.data() + 1, shape{1});
  CHECK_ERROR(check_apart(bias, on_bias, "bias", "there"), invalid_argument,
              "out overlaps bias (there)", "got bytes 4..7 ", "outside of 0..11");
}

TEST_CASE("overlap: elements without memory are refused, none need it") {
  float one = 0;
  const tensor_view<float> some(&one, shape{1}), nowhere(nullptr, shape{2, 3}),
      none(nullptr, shape{0, 3});
  CHECK_ERROR(check_memory(nowhere, some, "there"), invalid_argument, "x has no memory (there)",
              "got a null pointer, allowed: the address of 6 elements");
  CHECK_ERROR(check_memory(some, nowhere, "there"), invalid_argument, "out has no memory");
  check_memory(none, some, "there");
  check_memory(some, none, "there");
}
