#include <lutra/observe/global_min_max.hpp>

#include "../errors.hpp"

#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>

#include "range_of.hpp"

using namespace lutra;

namespace {
const quantization_spec per_row_spec{.granularity = granularity::per_channel(0)};
std::vector<tensor<float>> batches(int count) {
  random_stream random(6);
  std::vector<tensor<float>> all;
  for (int i = 0; i < count; ++i) {
    tensor<float> t(shape{3, 50});
    for (float& e : t.elements()) e = static_cast<float>(random.normal());
    t[static_cast<index_t>(random.below(150))] = std::numeric_limits<float>::quiet_NaN();
    all.push_back(std::move(t));
  }
  return all;
}
}  // namespace

TEST_CASE("global_min_max: never contracts, both ends move alone") {
  global_min_max o({});
  o.observe(view(std::vector<float>{-1, 2}));
  o.observe(view(std::vector<float>{-5, 1}));
  o.observe(view(std::vector<float>{-1, 10}));
  CHECK(range_of(o) == ends{{-5}, {10}});
  o.observe(view(std::vector<float>{3, 4}));
  CHECK(range_of(o) == ends{{-5}, {10}});
  o.reset();
  o.observe(view(std::vector<float>{3, 4}));
  CHECK(range_of(o) == ends{{0}, {4}});
}

TEST_CASE("global_min_max: any split into parts merges to the same bytes in any order") {
  const auto data = batches(12);
  global_min_max whole(per_row_spec);
  for (const auto& t : data) whole.observe(view(t));
  random_stream random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<global_min_max> parts(4, global_min_max(per_row_spec));
    for (const auto& t : data) parts[random.below(4)].observe(view(t));  // a part may see nothing
    while (parts.size() > 1) {
      const std::size_t a = random.below(parts.size());
      const std::size_t b = (a + 1 + random.below(parts.size() - 1)) % parts.size();
      parts[a].merge(parts[b]);
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(b));
    }
    CHECK(saved_bytes(parts[0]) == saved_bytes(whole));
  }
}

TEST_CASE("global_min_max: other units cannot be merged") {
  global_min_max a(per_row_spec), b(per_row_spec);
  a.observe(view(tensor<float>(shape{3, 2})));
  b.observe(view(tensor<float>(shape{4, 2})));
  CHECK_ERROR(a.merge(b), incompatible, "different units", "4 units", "3 units");
  CHECK_ERROR(a.merge(global_min_max({})), incompatible, "per_tensor");
  CHECK(a.samples() == 6);
}

TEST_CASE("global_min_max: save and load, and loaded ranges are checked") {
  global_min_max o(per_row_spec);
  for (const auto& t : batches(3)) o.observe(view(t));
  check_save_load(o, global_min_max(per_row_spec));
  for (const float bad :
       {1.0F, std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    state_writer w;
    w.i64(1);
    w.i64(1);
    w.i64(0);
    w.f32s(std::vector<float>{bad});
    w.f32s(std::vector<float>{2});
    state_reader r(w.bytes(), "load");
    global_min_max into({});
    CHECK_ERROR(into.load(r), corrupt_data, "range of a unit");
    CHECK(into.units() == 0);
  }
}
