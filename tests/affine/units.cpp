#include <lutra/affine/units.hpp>

#include <doctest/doctest.h>

#include "cases.hpp"
#include "levels.hpp"

using namespace lutra;

namespace {

bool same(const unit_constants<float>& a, const unit_constants<float>& b) {
  return a.scale == b.scale && a.reciprocal == b.reciprocal && a.lowest == b.lowest &&
         a.highest == b.highest && a.float_offset == b.float_offset &&
         a.integer_offset == b.integer_offset;
}
template <class V> unit_constants<float> lane(const unit_constants<V>& c, std::size_t i) {
  const auto of = [&](const V& field) {
    float values[static_cast<std::size_t>(simd::lanes<V>)];
    simd::store(values, field);
    return values[i];
  };
  return {of(c.scale),   of(c.reciprocal),   of(c.lowest),
          of(c.highest), of(c.float_offset), of(c.integer_offset)};
}

qparams random_params(dtype d, qformulation form, std::size_t units) {
  random_stream random(3);
  qparams p;
  p.dtype = d;
  p.qformulation = form;
  for (std::size_t u = 0; u < units; ++u) {
    p.scale.push_back(std::exp(static_cast<float>(random.normal())));
    if (!is_integer(d)) continue;
    p.zero_point.push_back(static_cast<std::int32_t>(random.below(200)) - 100);
    p.minval.push_back(static_cast<float>(random.normal()));
  }
  return p;
}

// Every unit of registers and of every shorter end has the constants of constants_of(); nothing past the last
// parameter is read (they end with their vectors, for sanitizers).
template <class V, unit_offsets Kind> int wrong_units(const qparams& p) {
  constexpr index_t lanes = simd::lanes<V>;
  const auto units = static_cast<index_t>(p.scale.size());
  int wrong = 0;
  for (index_t first = 0; first < units; ++first) {
    const unit_source source = units_from(p, first);
    const index_t n = std::min(lanes, units - first);
    const unit_constants<V> c = n == lanes ? constants_from<Kind, V>(source, 0)
                                           : last_constants_from<Kind, V>(source, 0, n);
    for (index_t i = 0; i < n; ++i) {
      wrong += !same(lane(c, static_cast<std::size_t>(i)), constants_of(unit_of(p, first + i)));
    }
    for (index_t i = n; i < lanes; ++i) wrong += lane(c, static_cast<std::size_t>(i)).scale != 1.0F;
  }
  return wrong;
}

}  // namespace

TEST_CASE("units: a register of units has the constants of each") {
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto integer = dtype::int8, fp8 = dtype::float8_e4m3fn;
    CHECK(wrong_units<V, unit_offsets::zero_point>(random_params(integer, qformulation::zp, 37)) ==
          0);
    CHECK(wrong_units<V, unit_offsets::minval>(random_params(integer, qformulation::minval, 37)) ==
          0);
    CHECK(wrong_units<V, unit_offsets::none>(random_params(fp8, qformulation::zp, 37)) == 0);
  });
}

TEST_CASE("units: offsets of another formulation are not pointed into, however few there are") {
  for (const qformulation form : {qformulation::zp, qformulation::minval}) {
    qparams p = random_params(dtype::int8, form, 37);
    const bool zp = form == qformulation::zp;
    zp ? p.minval.resize(1) : p.zero_point.resize(1);
    const unit_source u = units_from(p, 30);
    CHECK(u.scale == &p.scale[30]);
    CHECK(u.zero_point == (zp ? &p.zero_point[30] : nullptr));
    CHECK(u.minval == (zp ? nullptr : &p.minval[30]));
  }
}

TEST_CASE("units: one irregular scale anywhere is found") {
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    for (index_t n = 0; n <= 40; ++n) {
      std::vector<float> scale(static_cast<std::size_t>(n), 0.5F);
      CHECK(all_regular<V>(scale.data(), n));
      for (float& s : scale) {
        for (const float bad : {0x1p61F, 0x1.8p-61F, 0x1p-127F}) {
          s = bad;
          CHECK_FALSE(all_regular<V>(scale.data(), n));
        }
        for (const float good : {0x1p60F, 0x1p-126F, 0x1.8p-60F}) {
          s = good;
          CHECK(all_regular<V>(scale.data(), n));
        }
        s = 0.5F;
      }
    }
  });
}
