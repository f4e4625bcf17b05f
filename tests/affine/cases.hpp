// Specs, ranges and inputs that the tests of the vector loops share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <lutra/affine/quantize.hpp>
#include <lutra/core/random.hpp>
#include <string>
#include <vector>

namespace cases {

using namespace lutra;

inline std::vector<quantization_spec> specs() {
  std::vector<quantization_spec> all;
  for (const dtype d : {dtype::int2, dtype::int4, dtype::int8, dtype::uint3, dtype::uint8}) {
    for (const qscheme s :
         {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
      for (const qformulation f : {qformulation::zp, qformulation::minval}) {
        all.push_back({.dtype = d, .qscheme = s, .qformulation = f});
      }
    }
  }
  for (const dtype d : {dtype::float8_e4m3fn, dtype::float8_e5m2}) {
    all.push_back({.dtype = d});
    all.push_back({.dtype = d, .scale_dtype = dtype::float8_e8m0fnu});
  }
  all.push_back({.dtype = dtype::float4_e2m1fn});
  all.push_back({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float32});
  return all;
}

inline std::string name(const quantization_spec& s) {
  return std::string(name_of(s.dtype)) + " " + std::string(name_of(s.qscheme)) +
         (s.qformulation == qformulation::minval ? " minval " : " ") + text_of(s.granularity);
}

// Ranges of very different sizes, with all-zero and nearly irregular units among them.
inline qparams params(const quantization_spec& s, const shape& extents, random_stream& random) {
  const auto units = static_cast<std::size_t>(grid_of(s.granularity, extents, "case").count());
  std::vector<float> lo(units), hi(units);
  const int base = static_cast<int>(random.below(20)) - 12;
  for (std::size_t u = 0; u < units; ++u) {
    const int e = random.below(12) == 0 ? (random.below(2) == 0 ? 90 : -120) : base;
    lo[u] = -std::ldexp(static_cast<float>(random.uniform()), e);
    hi[u] = std::ldexp(static_cast<float>(random.uniform()), e);
    if (random.below(15) == 0) lo[u] = hi[u] = 0;
  }
  return qparams_from_range(s, lo, hi);
}

// Where an implementation can go wrong: near ties (within 2 ulp of (k + 0.5) * scale), special values,
// random bits, ordinary values.
inline std::vector<float> inputs(const qparams& p, const block_grid& units, random_stream& random) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float most = std::numeric_limits<float>::max();
  const std::vector<float> special = {0.0F,    -0.0F, inf,   -inf,   nan,       -nan,      1e-45F,
                                      -1e-45F, most,  -most, 1e-40F, 0x1p-126F, -0x1p-126F};
  std::vector<float> x(static_cast<std::size_t>(units.extents().size()));
  units.for_each_run([&](index_t first, index_t n, index_t at) {
    const auto u = static_cast<std::size_t>(at);
    for (index_t i = first; i < first + n; ++i) {
      float& e = x[static_cast<std::size_t>(i)];
      const auto kind = random.below(8);
      if (kind == 0) {
        e = special[random.below(special.size())];
      } else if (kind < 5) {
        const float tie = static_cast<float>(static_cast<int>(random.below(800)) - 400) + 0.5F;
        e = std::bit_cast<float>(std::bit_cast<std::uint32_t>(tie * p.scale[u]) +
                                 static_cast<std::uint32_t>(random.below(5)) - 2U);
        if (p.qformulation == qformulation::minval) e += p.minval[u];
      } else if (kind == 5) {
        e = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
      } else {
        e = static_cast<float>(random.normal()) * p.scale[u] * 60.0F;
      }
    }
  });
  return x;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

}  // namespace cases
