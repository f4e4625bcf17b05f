#include <lutra/affine/sharded.hpp>

#include <doctest/doctest.h>

#include "../errors.hpp"
#include "backward_executor.hpp"
#include "cases.hpp"

using namespace lutra;

namespace {

// Runs the shards last to first.
static_assert(executor<test::backward_executor>);

void check_same(const quantization_spec& s, const shape& extents) {
  CAPTURE(cases::name(s));
  CAPTURE(text_of(extents));
  random_stream random(51);
  const block_grid units = grid_of(s.granularity, extents, "test", short_groups::allow);
  std::vector<float> lo(static_cast<std::size_t>(units.count()), -1.0F);
  std::vector<float> hi(lo.size());
  for (std::size_t u = 0; u < hi.size(); ++u) hi[u] = 1.0F + static_cast<float>(u % 97);
  const qparams p = qparams_from_range(s, lo, hi);
  std::vector<float> x(static_cast<std::size_t>(extents.size()));
  for (float& v : x) v = static_cast<float>(random.normal()) * 30.0F;
  std::vector<float> a(x.size()), b(x.size());
  fake_quantize({x.data(), extents}, p, {a.data(), extents});
  fake_quantize(test::backward_executor{}, {x.data(), extents}, p, {b.data(), extents});
  CHECK(cases::same_bits(a, b));
  fake_quantize(serial_executor{}, {x.data(), extents}, p, {x.data(), extents});  // in place
  CHECK(cases::same_bits(a, x));
}

}  // namespace

TEST_CASE("sharded: fake_quantize gives the bits of the serial call, whatever the cut") {
  for (const auto form : {qformulation::zp, qformulation::minval}) {
    const auto spec = [&](const granularity& g) {
      return quantization_spec{.dtype = dtype::int4,
                               .qscheme = qscheme::asymmetric,
                               .qformulation = form,
                               .granularity = g};
    };
    check_same(spec(granularity::per_tensor()), {300'001});
    check_same(spec(granularity::per_tensor()), {1, 500, 600});
    check_same(spec(granularity::per_channel(0)), {400, 700});
    check_same(spec(granularity::per_channel(0)), {200'001});
    check_same(spec(granularity::per_channel(1)), {500, 601});
    check_same(spec(granularity::per_channel(1)), {1, 300'000});  // cannot be cut
    check_same(spec(granularity::per_block(32, 1)), {300, 960});
    check_same(spec(granularity::per_block(32, 0)), {320, 901});
    check_same(spec(granularity::per_grouped_channel(48, 0)), {325, 901});  // a short last block
    check_same(spec(granularity::per_block({4, 15})), {400, 750});
    check_same(spec(granularity::per_block({1, 2, 8})), {20, 100, 120});
  }
  check_same({.dtype = dtype::float4_e2m1fn, .granularity = granularity::per_block(32, 1)},
             {300, 960});
  check_same({}, {3, 4});
}

TEST_CASE("sharded: the errors of fake_quantize, and nothing for nothing") {
  const std::vector<float> x(12, 1.0F);
  std::vector<float> y(12, 5.0F);
  const float lo = -1;
  const float hi = 1;
  const qparams p = qparams_from_range({}, {&lo, 1}, {&hi, 1});
  CHECK_ERROR(fake_quantize(test::backward_executor{}, {x.data(), {12}}, p, {y.data(), {3, 4}}),
              shape_mismatch, "shapes differ");
  fake_quantize(test::backward_executor{}, {x.data(), {0, 4}}, p, {y.data(), {0, 4}});
  CHECK(y[0] == 5.0F);
  fake_quantize(test::backward_executor{}, {x.data(), shape{}}, p,
                {y.data(), shape{}});  // one element without an axis
  CHECK(y[0] == fake_quantize_one(1.0F, unit_of(p, 0)));
}

TEST_CASE("sharded: offsets of the other formulation may be there, as many as they like") {
  constexpr index_t units = 1024, length = 256;  // several shards
  std::vector<float> x(static_cast<std::size_t>(units * length), 0.7F);
  std::vector<float> a(x.size()), b(x.size());
  qparams p{.quant_min = -8,
            .quant_max = 7,
            .granularity = granularity::per_channel(0),
            .scale = std::vector<float>(units, 0.25F),
            .zero_point = std::vector<std::int32_t>(units, -3),
            .minval = {1.0F}};
  const auto check_both = [&] {
    fake_quantize({x.data(), {units, length}}, p, {a.data(), {units, length}});
    fake_quantize(test::backward_executor{}, {x.data(), {units, length}}, p,
                  {b.data(), {units, length}});
    CHECK(cases::same_bits(a, b));
    CHECK(a.back() == fake_quantize_one(x.back(), unit_of(p, units - 1)));
  };
  check_both();
  p.qformulation = qformulation::minval;
  p.zero_point.resize(1);
  p.minval.assign(units, -1.5F);
  check_both();
}

TEST_CASE("sharded: shards cover the axis in whole steps") {
  for (const index_t extent : {1, 7, 64, 1000}) {
    for (const index_t step : {1, 3, 32}) {
      for (const index_t size : {index_t{10}, index_t{1} << 18, index_t{1} << 24}) {
        const axis_shards shards(extent, step, size);
        index_t next = 0;
        for (index_t i = 0; i < shards.count(); ++i) {
          const index_range r = shards.at(i);
          CHECK(r.begin == next);
          CHECK(r.size() > 0);
          CHECK(r.begin % step == 0);
          next = r.end;
        }
        CHECK(next == extent);
      }
    }
  }
}
