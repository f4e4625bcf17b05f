// What is claimed of clusterings - lower bounds, status - against optima in 113 bits, for values that are hard on sums
// in double. LUTRA_CLAIMS: cases beyond the usual ones, "first count".
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "cluster/oracle.hpp"
#include "quick.hpp"

namespace {

using lutra::index_t;

// A tensor of one group, and what is clustered of it.
struct sample {
  std::vector<double> value;
  std::vector<float> importance;  // or empty
  bool row_scale = false;
  index_t rows = 1;
  int bits = 2;
  std::string what;
};

// Values of one of many kinds, within the range of T.
template <class T> T within_range(double x) {
  if constexpr (std::same_as<T, double>) {
    return std::clamp(x, -3e38, 3e38);
  } else if constexpr (std::same_as<T, lutra::half>) {
    return T(static_cast<float>(std::clamp(x, -65000.0, 65000.0)));
  } else {
    return T(static_cast<float>(std::clamp(x, -3e38, 3e38)));
  }
}
double power_of_2(double e) { return std::exp2(e); }

sample draw(std::uint64_t seed, double least_exponent, double most_exponent) {
  lutra::random_stream r(seed);
  sample s;
  const auto chance = [&](double p) { return r.uniform() < p; };
  const auto exponent = [&] {
    return least_exponent + (most_exponent - least_exponent) * r.uniform();
  };
  const auto sign = [&] { return chance(0.5) ? 1.0 : -1.0; };
  const bool many = chance(0.04);
  const std::size_t n = 1 + (many ? 100 + r.below(180) : r.below(chance(0.3) ? 90 : 28));
  s.bits = 1 + static_cast<int>(r.below(many ? 7 : 4));
  const int kind = static_cast<int>(r.below(12));
  s.what = std::to_string(kind);
  const double scale = chance(0.5) ? 1.0 : power_of_2(exponent());
  const double far = power_of_2(exponent()), narrow = power_of_2(-60 * r.uniform());
  std::vector<double> palette;
  for (int i = 0; i < 3 + static_cast<int>(r.below(20)); ++i) palette.push_back(r.normal());
  for (std::size_t i = 0; i < n; ++i) {
    double x = 0;
    switch (kind) {
      case 0:
        x = r.normal();
        break;
      case 1:
        x = 1 + narrow * r.normal();
        break;  // a huge offset
      case 2:
        x = sign() * power_of_2(exponent()) / scale;
        break;  // all exponents
      case 3:
        x = palette[r.below(palette.size())];
        break;  // duplicates
      case 4:
        x = i == n / 2 ? far / scale : r.normal();
        break;  // one outlier
      case 5:
        x = sign() * (1 - 1e-3 * r.uniform()) * 3e38 / scale;
        break;
      case 6:
        x = sign() * power_of_2(least_exponent + 6 * r.uniform()) / scale;
        break;
      case 7:
        x = (chance(0.5) ? 1.0 : 2.0) + narrow * r.normal();
        break;  // narrow modes
      case 8:
        x = static_cast<double>(r.below(7)) * far + r.normal();
        break;
      case 9:
        x = static_cast<double>(i) + (chance(0.2) ? narrow * r.normal() : 0.0);
        break;  // ties
      case 10:
        x = std::ldexp(static_cast<double>(r.below(40)), -static_cast<int>(r.below(50)));
        break;
      default:
        x = palette[r.below(palette.size())] + narrow * static_cast<double>(r.below(5));
    }
    s.value.push_back(x * scale);
  }
  if (chance(0.4)) {
    const double spread = chance(0.5) ? 100 * r.uniform() : 3.0;  // up to 2^100
    const bool two = chance(0.3);
    for (std::size_t i = 0; i < n; ++i) {
      const double e = two ? (chance(0.5) ? 0.5 : -0.5) : r.uniform() - 0.5;
      s.importance.push_back(static_cast<float>(power_of_2(spread * e) * (1 + r.uniform())));
    }
  }
  if (chance(0.25)) {
    s.row_scale = true;
    for (const index_t rows : {7, 5, 4, 3, 2}) {
      if (static_cast<index_t>(n) % rows == 0 && s.rows == 1) s.rows = rows;
    }
  }
  return s;
}

struct counts {
  int claimed = 0, all = 0;
};

template <class T>
void check(std::uint64_t seed, const sample& s, lutra::palettize_mode mode, counts& seen) {
  const auto n = static_cast<index_t>(s.value.size());
  lutra::tensor<T> w({s.rows, n / s.rows}, std::vector<T>(s.value.size()));
  for (std::size_t i = 0; i < s.value.size(); ++i) w.elements()[i] = within_range<T>(s.value[i]);
  lutra::palettize_options options;
  options.mode = mode;
  if (!s.importance.empty()) {
    options.importance = lutra::tensor_view<const float>(s.importance.data(), w.extents());
  }
  const auto p =
      lutra::palettize(w, {.n_bits = s.bits, .enable_per_channel_scale = s.row_scale}, options);
  const int k = 1 << s.bits;
  oracle::pairs all;
  std::vector<oracle::wide> weight(static_cast<std::size_t>(k), 0);
  oracle::wide inertia = 0;
  for (std::size_t i = 0; i < s.value.size(); ++i) {
    const auto x = static_cast<oracle::wide>(lutra::widened(w.elements()[i]));
    oracle::wide scale = 1;
    if (s.row_scale) {
      scale = static_cast<oracle::wide>(
          p.row_scale[static_cast<std::size_t>(static_cast<index_t>(i) / (n / s.rows))]);
    }
    const oracle::wide v =
        s.importance.empty() ? oracle::wide{1} : static_cast<oracle::wide>(s.importance[i]);
    const oracle::wide d = x - scale * static_cast<oracle::wide>(p.lut[p.codes[i]]);
    inertia += v * d * d;
    weight[p.codes[i]] += v * scale * scale;
    all.emplace_back(x / scale, v * scale * scale);
  }
  std::sort(all.begin(), all.end());
  const oracle::wide best = oracle::least_cost(all, k);
  // What rounding the entries to float can add.
  oracle::wide rounded = 0;
  for (std::size_t c = 0; c < weight.size(); ++c) {
    const float entry = std::fabs(p.lut[c]);
    const auto ulp = static_cast<oracle::wide>(std::nextafter(entry, 2 * entry + 1.0F)) -
                     static_cast<oracle::wide>(entry);
    rounded += weight[c] * ulp * ulp;
  }
  const double gap = options.gap_for(k);
  constexpr double nothing = 1e-300;  // squares of doubles may vanish
  const auto part = [&](oracle::wide x) { return static_cast<double>(best > 0 ? x / best : x); };
  const auto lower = static_cast<oracle::wide>(p.lower_bound[0]);
  const auto told = static_cast<oracle::wide>(p.inertia[0]),
             rounding = static_cast<oracle::wide>(p.rounding[0]);
  const bool claimed = p.status[0] == lutra::palette_status::optimal ||
                       p.status[0] == lutra::palette_status::certified;
  CAPTURE(seed);
  CAPTURE(s.what);
  CAPTURE(sizeof(T));
  CAPTURE(static_cast<int>(mode));
  CAPTURE(static_cast<int>(p.status[0]));
  CAPTURE(n);
  CAPTURE(s.bits);
  CAPTURE(static_cast<double>(best));
  CAPTURE(part(lower - best));
  CAPTURE(part(inertia));
  CAPTURE(part(rounding));
  CHECK(part(lower - best) <= 0x1p-60);
  CHECK(static_cast<double>(told > inertia ? told - inertia : inertia - told) <=
        1e-12 * static_cast<double>(inertia) + nothing);
  CHECK(static_cast<double>(rounding) <=
        2 * static_cast<double>(rounded) + gap * static_cast<double>(best) + nothing);
  ++seen.all;
  if (!claimed) return;
  ++seen.claimed;
  CHECK(static_cast<double>(inertia - rounding) <= (1 + gap + 1e-12) * static_cast<double>(best) +
                                                       1e-12 * static_cast<double>(rounding) +
                                                       nothing);
  CHECK(static_cast<double>(told - rounding) <=
        (1 + gap) * static_cast<double>(lower) * (1 + 1e-15) +
            1e-12 * static_cast<double>(rounding) + nothing);
}

TEST_CASE("claims: no lower bound is above the optimum, and what is called proven is") {
  std::uint64_t first = 0, count = test::quick() ? 100 : 600;
  if (const char* range = std::getenv("LUTRA_CLAIMS")) {
    char* rest = nullptr;
    first = std::strtoull(range, &rest, 10);
    count = std::strtoull(rest, nullptr, 10);
  }
  counts seen[2], scaled[2];  // by mode
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    for (const auto mode : {lutra::palettize_mode::certified, lutra::palettize_mode::exact}) {
      const double least[] = {-300, -24, -133, -149, -149};
      const sample s = draw(seed, least[seed % 5], seed % 5 == 1 ? 15 : 127);
      counts& c = (s.row_scale ? scaled : seen)[mode == lutra::palettize_mode::exact ? 1 : 0];
      switch (seed % 5) {
        case 0:
          check<double>(seed, s, mode, c);
          break;
        case 1:
          check<lutra::half>(seed, s, mode, c);
          break;
        case 2:
          check<lutra::bfloat16>(seed, s, mode, c);
          break;
        default:
          check<float>(seed, s, mode, c);
      }
    }
  }
  // Quotients by row scales are rounded, which may be more than the optimum of values that nearly agree.
  for (const auto& c : {seen[0], seen[1], scaled[0], scaled[1]}) {
    MESSAGE("proven: " << c.claimed << " of " << c.all);
  }
  CHECK(100 * seen[0].claimed >= 95 * seen[0].all);
  CHECK(100 * seen[1].claimed >= 90 * seen[1].all);
  CHECK(100 * scaled[0].claimed >= 50 * scaled[0].all);
  CHECK(100 * scaled[1].claimed >= 40 * scaled[1].all);
}

}  // namespace
