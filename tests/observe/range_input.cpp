#include <lutra/observe/range_input.hpp>

#include "../errors.hpp"

#include <cmath>
#include <lutra/tensor/tensor.hpp>

using namespace lutra;

namespace {
const tensor<float> rows(shape{2, 3}, {1, 2, 3, -4, -5, -6});
unit_ranges read(const range_input& input, const tensor<float>& x) {
  return input.read(view(x), input.units_of(x.extents()));
}
unit_ranges read(const quantization_spec& s) { return read(range_input(s), rows); }
void count(range_input& input, const tensor<float>& x) {
  input.count(input.units_of(x.extents()), read(input, x).nonfinite);
}
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
  count(input, rows);
  CHECK(input.units() == 2);
  CHECK(input.samples() == 6);
  CHECK(input.nonfinite() == 0);
  read(input, tensor<float>(shape{2, 7}));  // another extent elsewhere is fine
  CHECK_ERROR(input.units_of({3, 3}), shape_mismatch, "number of units", "3 for shape [3, 3]", "2");
  input.units_of({3, 0});  // an empty tensor has none
  input.reset();
  CHECK(input.units() == 0);
  range_input blocks({.granularity = granularity::per_block(2, 1)});
  CHECK_ERROR(blocks.units_of(rows.extents()), incompatible, "does not divide axis 1");
}

TEST_CASE("range_input: a per-tensor input takes any rank") {
  range_input input({});
  count(input, rows);
  CHECK(read(input, tensor<float>(shape{4, 1, 1, 2})).lo.size() == 1);
}

TEST_CASE("range_input: different units cannot be combined") {
  const range_input a({});
  const range_input b({.granularity = granularity::per_channel(0)});
  const range_input c({.float_range = {0.0F, {}}});
  CHECK_ERROR(a.check_same(b, "test"), incompatible, "different units", "per_channel");
  CHECK_ERROR(a.check_same(c, "test"), incompatible, "float_range");
  a.check_same(range_input(quantization_spec{.dtype = dtype::int4}), "test");
}

TEST_CASE("range_input: as many units in other places are refused, also after saving") {
  const quantization_spec s{.granularity = granularity::per_block(2, 1)};
  range_input wide(s), tall(s), loaded(s);
  count(wide, tensor<float>(shape{2, 4}));
  count(tall, tensor<float>(shape{4, 2}));
  state_writer w;
  wide.save(w);
  state_reader r(w.bytes(), "test");
  loaded.load(r);
  r.expect_end();
  for (const range_input* input : {&wide, &loaded}) {
    CHECK_ERROR(input->units_of({4, 2}), shape_mismatch, "lie elsewhere", "[4, 1]", "[2, 2]");
    CHECK_ERROR(input->check_same(tall, "test"), incompatible, "different units",
                "4 units in grid [4, 1]", "4 units in grid [2, 2]");
    input->check_same(wide, "test");
  }
  range_input fresh(s);
  fresh.add(loaded);
  CHECK_ERROR(fresh.units_of({4, 2}), shape_mismatch, "lie elsewhere");
}

TEST_CASE("range_input: a record without a grid is read, which is then learnt") {
  const quantization_spec s{.granularity = granularity::per_block(2, 1)};
  state_writer w;
  for (const std::int64_t v : {4, 8, 0}) w.i64(v);  // units, samples, non-finite
  state_reader r(w.bytes(), "test");
  range_input input(s);
  input.load(r);
  r.expect_end();
  CHECK(input.units() == 4);
  CHECK_ERROR(input.units_of({4, 4}), shape_mismatch, "number of units");
  input.units_of({4, 2});
  count(input, tensor<float>(shape{2, 4}));
  CHECK_ERROR(input.units_of({4, 2}), shape_mismatch, "lie elsewhere");
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
