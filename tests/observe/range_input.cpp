#include <lutra/observe/range_input.hpp>

#include "../errors.hpp"

#include <cmath>
#include <lutra/tensor/tensor.hpp>

using namespace lutra;

namespace {
const tensor<float> rows(shape{2, 3}, {1, 2, 3, -4, -5, -6});
unit_ranges read(const quantization_spec& s) { return range_input(s).read(view(rows)); }
}  // namespace

TEST_CASE("range_input: zero is inside, pinned ends replace what is observed") {
  quantization_spec s{.granularity = granularity::per_channel(0)};
  CHECK(read(s).lo == std::vector<float>{0, -6});
  CHECK(read(s).hi == std::vector<float>{3, 0});
  s.float_range = {-1.0F, {}};
  CHECK(read(s).lo == std::vector<float>{-1, -1});
  CHECK(read(s).hi == std::vector<float>{3, 0});
  s.float_range = {-1.0F, 2.0F};
  CHECK(read(s).lo == std::vector<float>{-1, -1});
  CHECK(read(s).hi == std::vector<float>{2, 2});
  for (const float e : read({.granularity = granularity::per_channel(0)}).hi)
    CHECK_FALSE(std::signbit(e));
}

TEST_CASE("range_input: counts, and the number of units is fixed by the first tensor") {
  range_input input({.granularity = granularity::per_channel(0)});
  input.count(input.read(view(rows)), rows.size());
  CHECK(input.units() == 2);
  CHECK(input.samples() == 6);
  CHECK(input.nonfinite() == 0);
  input.read(view(tensor<float>(shape{2, 7})));  // another extent elsewhere is fine
  CHECK_ERROR(input.read(view(tensor<float>(shape{3, 3}))), shape_mismatch, "number of units",
              "3 for shape [3, 3]", "2");
  CHECK(input.read(view(tensor<float>(shape{2, 0}))).lo.empty());
  input.reset();
  CHECK(input.units() == 0);
  range_input blocks({.granularity = granularity::per_block(2, 1)});
  CHECK_ERROR(blocks.read(view(rows)), incompatible, "does not divide axis 1");
}

TEST_CASE("range_input: a per-tensor input takes any rank") {
  range_input input({});
  input.count(input.read(view(rows)), rows.size());
  CHECK(input.read(view(tensor<float>(shape{4, 1, 1, 2}))).lo.size() == 1);
}

TEST_CASE("range_input: different units cannot be combined") {
  const range_input a({});
  const range_input b({.granularity = granularity::per_channel(0)});
  const range_input c({.float_range = {0.0F, {}}});
  CHECK_ERROR(a.check_same(b, "test"), incompatible, "different units", "per_channel");
  CHECK_ERROR(a.check_same(c, "test"), incompatible, "float_range");
  a.check_same(range_input(quantization_spec{.dtype = dtype::int4}), "test");
}

TEST_CASE("range_input: contradictory saved counts are corrupt") {
  const auto load = [](std::int64_t units, std::int64_t samples, std::int64_t nonfinite) {
    state_writer w;
    w.i64(units);
    w.i64(samples);
    w.i64(nonfinite);
    state_reader r(w.bytes(), "test");
    range_input input({});
    input.load(r);
  };
  load(1, 5, 5);
  CHECK_ERROR(load(-1, 5, 0), corrupt_data, "counts");
  CHECK_ERROR(load(6, 5, 0), corrupt_data, "6 units, 5 samples");
  CHECK_ERROR(load(1, 5, 6), corrupt_data, "counts");
}
