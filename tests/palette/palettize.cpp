#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <thread>

#include "cluster/oracle.hpp"
#include "errors.hpp"
#include "palette/normal_weight.hpp"

namespace {

using lutra::granularity;
using lutra::index_t;
using lutra::palette;
using lutra::palettization_spec;
using lutra::palettize;
using lutra::palettize_mode;
using lutra::palettize_options;
using lutra::shape;
using lutra::tensor;
using numbers = std::vector<double>;

// Everything a caller can see, for comparisons bit by bit.
bool same(const palette<float>& a, const palette<float>& b) {
  return a.lut == b.lut && a.codes == b.codes && a.lut_codes == b.lut_codes && a.scale == b.scale &&
         a.zero_point == b.zero_point && a.row_scale == b.row_scale && a.inertia == b.inertia &&
         a.error == b.error && a.lower_bound == b.lower_bound && a.rounding == b.rounding &&
         a.used_entries == b.used_entries && a.collapsed_entries == b.collapsed_entries &&
         a.status == b.status;
}

double total(const numbers& xs) {
  double sum = 0;
  for (const double x : xs) sum += x;
  return sum;
}

// The elements of group g, by the definition.
std::vector<std::size_t> members(const palette<float>& p, index_t g) {
  std::vector<std::size_t> out;
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    for (index_t i = first; group == g && i < first + length; ++i) {
      out.push_back(static_cast<std::size_t>(i));
    }
  });
  return out;
}

// What every float palette without row scales promises.
void check_promises(const tensor<float>& w, const palette<float>& p) {
  REQUIRE(p.weight_shape == w.extents());
  REQUIRE(p.codes.size() == w.elements().size());
  const auto entries = static_cast<std::size_t>(p.entries());
  for (index_t g = 0; g < p.groups().count(); ++g) {
    const auto u = static_cast<std::size_t>(g);
    const std::span<const float> table(p.lut.data() + u * entries, entries);
    const auto used = static_cast<std::size_t>(p.used_entries[u]);
    bool canonical = used >= 1 && used <= entries;
    for (std::size_t k = 1; k < entries; ++k) {
      canonical = canonical && (k < used ? table[k] > table[k - 1] : table[k] == table[k - 1]);
    }
    CHECK(canonical);
    long double inertia = 0;
    bool nearest = true;
    for (const std::size_t i : members(p, g)) {
      nearest = nearest && p.codes[i] < used;
      const auto x = static_cast<double>(w.elements()[i]);
      const double d = x - static_cast<double>(table[p.codes[i]]);
      inertia += static_cast<long double>(d) * static_cast<long double>(d);
      for (const float c : table) {
        nearest = nearest && std::fabs(d) <= std::fabs(x - static_cast<double>(c));
      }
    }
    CHECK(nearest);
    CHECK(std::fabs(p.inertia[u] - static_cast<double>(inertia)) <= 1e-12 * p.inertia[u]);
    CHECK(p.lower_bound[u] <= p.inertia[u]);
    CHECK(p.inertia[u] <= p.lower_bound[u] * (1 + 1e-5) + 1e-30);
    CHECK(p.error[u] == p.inertia[u]);
    CHECK(p.status[u] == lutra::palette_status::optimal);
  }
}

TEST_CASE("palettize: 1..6 into four entries") {
  const tensor<float> w({2, 3}, {1, 2, 3, 4, 5, 6});
  const palette<float> p = palettize(w, {.n_bits = 2});
  CHECK(p.lut == std::vector<float>{1, 2, 3.5F, 5.5F});
  CHECK(p.codes == std::vector<std::uint8_t>{0, 1, 2, 2, 3, 3});
  CHECK(p.inertia == numbers{1});
  CHECK(p.used_entries == std::vector<int>{4});
}

TEST_CASE("palettize: every small group is optimal, whatever the grouping") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const tensor<float> w = test::normal_weight({3, 4, 5}, seed);
    for (const granularity& g :
         {granularity::per_grouped_channel(1, 0), granularity::per_grouped_channel(1, 1),
          granularity::per_grouped_channel(1, 2), granularity::per_block({2, 3, 2}),
          granularity::per_grouped_channel(1, -1)}) {
      const palette<float> p = palettize(w, {.n_bits = 1, .granularity = g});
      check_promises(w, p);
      for (index_t k = 0; k < p.groups().count(); ++k) {
        numbers x;
        for (const std::size_t i : members(p, k)) x.push_back(static_cast<double>(w.elements()[i]));
        const double best = oracle::optimum(x, {}, 2);
        CHECK(p.inertia[static_cast<std::size_t>(k)] <= best * (1 + 1e-6) + 1e-30);
      }
    }
  }
}

TEST_CASE("palettize: all widths, per tensor and grouped, keep their promises") {
  for (int bits = 1; bits <= 8; ++bits) {
    const tensor<float> w = test::normal_weight({9, 31}, static_cast<std::uint64_t>(bits), 0.02);
    check_promises(w, palettize(w, {.n_bits = bits}));
    check_promises(
        w, palettize(w, {.n_bits = bits, .granularity = granularity::per_grouped_channel(2, 0)}));
    check_promises(
        w, palettize(w, {.n_bits = bits, .granularity = granularity::per_grouped_channel(8, 1)}));
  }
}

TEST_CASE("palettize: more bits and smaller groups never cost more") {
  const tensor<float> w = test::normal_weight({16, 40}, 3, 0.1);
  double last = std::numeric_limits<double>::infinity();
  for (int bits = 1; bits <= 8; ++bits) {
    const double inertia = total(palettize(w, {.n_bits = bits}).inertia);
    CHECK(inertia < last);
    last = inertia;
  }
  last = std::numeric_limits<double>::infinity();
  for (const index_t size : {16, 8, 4, 2, 1}) {
    const palette<float> p =
        palettize(w, {.n_bits = 3, .granularity = granularity::per_grouped_channel(size, 0)});
    CHECK(total(p.inertia) < last);
    last = total(p.inertia);
  }
}

TEST_CASE("palettize: multiplying by a power of two changes only exponents") {
  const tensor<float> w = test::normal_weight({12, 20}, 5);
  for (const bool scaled : {false, true}) {
    const palettization_spec spec{.n_bits = 3,
                                  .granularity = granularity::per_grouped_channel(6, 0),
                                  .enable_per_channel_scale = scaled};
    const palette<float> p = palettize(w, spec);
    for (const int e : {1, -7, 40, -60}) {
      tensor<float> v = w;
      for (float& x : v.elements()) x = std::ldexp(x, e);
      const palette<float> q = palettize(v, spec);
      CHECK(q.codes == p.codes);
      bool exact = true;
      for (std::size_t k = 0; k < p.lut.size(); ++k) {
        exact = exact && q.lut[k] == (scaled ? p.lut[k] : std::ldexp(p.lut[k], e));
      }
      for (std::size_t r = 0; r < p.row_scale.size(); ++r) {
        exact = exact && q.row_scale[r] == std::ldexp(p.row_scale[r], e);
      }
      for (std::size_t g = 0; g < p.inertia.size(); ++g) {
        exact = exact && q.inertia[g] == std::ldexp(p.inertia[g], 2 * e);
      }
      CHECK(exact);
    }
  }
}

TEST_CASE("palettize: permuting the elements of a group permutes the codes") {
  const tensor<float> w = test::normal_weight({1, 100}, 6);
  tensor<float> v({1, 100});
  for (index_t i = 0; i < 100; ++i) v[i] = w[(i * 37 + 5) % 100];
  const palette<float> p = palettize(w, {});
  const palette<float> q = palettize(v, {});
  CHECK(p.lut == q.lut);
  bool moved = true;
  for (std::size_t i = 0; i < 100; ++i) moved = moved && q.codes[i] == p.codes[(i * 37 + 5) % 100];
  CHECK(moved);
}

TEST_CASE("palettize: short last groups, or an error that names the extent") {
  const tensor<float> w = test::normal_weight({7, 5}, 8);
  palettization_spec spec{.n_bits = 2, .granularity = granularity::per_grouped_channel(3, 0)};
  const palette<float> p = palettize(w, spec);
  CHECK(p.groups().count() == 3);
  check_promises(w, p);
  CHECK(members(p, 2).size() == 5);
  // The last group alone gives the same table.
  const tensor<float> tail({1, 5}, {w.elements().begin() + 30, w.elements().end()});
  const palette<float> t = palettize(tail, {.n_bits = 2});
  CHECK(std::equal(t.lut.begin(), t.lut.end(), p.lut.begin() + 8));
  spec.short_groups = lutra::short_groups::forbid;
  CHECK_ERROR(palettize(w, spec, {.where = "fc1.weight"}), incompatible, "fc1.weight", "extent 7",
              "3");
}

TEST_CASE("palettize: a granularity without an axis groups along axis 0") {
  const tensor<float> w = test::normal_weight({6, 5}, 9);
  CHECK(same(palettize(w, {.granularity = granularity::per_grouped_channel(2)}),
             palettize(w, {.granularity = granularity::per_grouped_channel(2, 0)})));
}

TEST_CASE(
    "palettize: convolution weights group on input channels as the transposed weight does on axis "
    "0") {
  const tensor<float> w = test::normal_weight({4, 6, 3, 2}, 10);
  tensor<float> t({6, 4, 3, 2});
  for (index_t o = 0; o < 4; ++o) {
    for (index_t i = 0; i < 6; ++i) {
      for (index_t k = 0; k < 6; ++k) t[(i * 4 + o) * 6 + k] = w[(o * 6 + i) * 6 + k];
    }
  }
  const auto a = palettize(w, {.n_bits = 2, .granularity = granularity::per_grouped_channel(3, 1)});
  const auto b = palettize(t, {.n_bits = 2, .granularity = granularity::per_grouped_channel(3, 0)});
  CHECK(a.lut == b.lut);
  CHECK(a.inertia == b.inertia);
}

TEST_CASE("palettize: a group with few distinct values has a padded table and no error") {
  const tensor<float> w({2, 3}, {1, 1, 2, 2, 1, 2});
  const palette<float> p = palettize(w, {.n_bits = 2});
  CHECK(p.lut == std::vector<float>{1, 2, 2, 2});
  CHECK(p.codes == std::vector<std::uint8_t>{0, 0, 1, 1, 0, 1});
  CHECK(p.used_entries == std::vector<int>{2});
  CHECK(p.inertia == numbers{0});
}

TEST_CASE("palettize: the reference's exact mode leaves the lowest entries unused") {
  const lutra::palettize_options compat{.mode = lutra::palettize_mode::reference_exact};
  const palette<float> p =
      palettize(tensor<float>({2, 3}, {1, 1, 2, 2, 1, 2}), {.n_bits = 2}, compat);
  CHECK(p.lut == std::vector<float>{0, 0, 1, 2});
  CHECK(p.codes == std::vector<std::uint8_t>{2, 2, 3, 3, 2, 3});
  CHECK(p.status[0] == lutra::palette_status::unproven);
  CHECK(lutra::restore(p).elements() == std::vector<float>{1, 1, 2, 2, 1, 2});
  // Below 0 the table is out of order; codes and, for elements left out, the nearest entry hold all the same.
  const float endless = std::numeric_limits<float>::infinity();
  auto ignoring = compat;
  ignoring.non_finite = lutra::non_finite_values::ignore;
  const palette<float> n =
      palettize(tensor<float>({6}, {-1, -2, -2, -1, endless, -endless}), {.n_bits = 2}, ignoring);
  CHECK(n.lut == std::vector<float>{0, 0, -2, -1});
  CHECK(lutra::restore(n).elements() == std::vector<float>{-1, -2, -2, -1, 0, -2});
  // Of float16 weights it takes the distinct values.
  const palette<float> narrow = palettize(
      tensor<lutra::half>::copy_of(tensor<float>({4}, {-1, -2, -2, -1})), {.n_bits = 2}, compat);
  CHECK(narrow.lut == std::vector<float>{-2, -1, -1, -1});
  // Elsewhere it finds what mode exact finds.
  const tensor<float> w({8}, {0.1F, 0.2F, 5, 5.1F, -3, -3.2F, 9, 9.5F});
  const palette<float> a = palettize(w, {.n_bits = 2}, compat);
  const palette<float> b = palettize(w, {.n_bits = 2}, {.mode = lutra::palettize_mode::exact});
  CHECK(a.codes == b.codes);
  for (std::size_t i = 0; i < 4; ++i) CHECK(a.lut[i] == doctest::Approx(b.lut[i]).epsilon(1e-6));
}

TEST_CASE("palettize: empty, one element, constant, zero, scalar") {
  const palette<float> none = palettize(tensor<float>({0}), {});
  CHECK(none.codes.empty());
  CHECK(none.lut == std::vector<float>(16, 0.0F));
  CHECK(none.status == std::vector{lutra::palette_status::empty});
  CHECK(none.inertia == numbers{0});
  CHECK(none.used_entries == std::vector<int>{1});
  CHECK(palettize(tensor<float>({4, 0}), {.enable_per_channel_scale = true}).row_scale ==
        std::vector<float>(4, 1.0F));
  // A table for every group of inputs, none of which has elements; and one for the outputs there are none of.
  const palette<float> columns =
      palettize(tensor<float>({0, 5}), {.n_bits = 1,
                                        .lut_qspec = lutra::int8_symmetric,
                                        .granularity = granularity::per_grouped_channel(2, 1)});
  CHECK(columns.groups().grid() == shape{1, 3});
  CHECK(columns.lut == std::vector<float>(6, 0.0F));
  CHECK(columns.lut_codes == std::vector<std::uint8_t>(6, 0));
  CHECK(columns.scale == std::vector<float>(3, 0x1p-23F));
  CHECK(columns.status.size() == 3);
  const palette<float> rows =
      palettize(tensor<float>({0, 5}), {.granularity = granularity::per_grouped_channel(1, 0)});
  CHECK(rows.groups().grid() == shape{1, 1});
  CHECK(rows.lut == std::vector<float>(16, 0.0F));
  const palette<float> one = palettize(tensor<float>({1}, {-3}), {.n_bits = 1});
  CHECK(one.lut == std::vector<float>{-3, -3});
  const palette<float> scalar = palettize(tensor<float>(shape{}, {5}), {.n_bits = 1});
  CHECK(scalar.lut == std::vector<float>{5, 5});
  CHECK(scalar.codes.size() == 1);
  const palette<float> zero = palettize(
      tensor<float>({2, 2}),
      {.n_bits = 2, .lut_qspec = lutra::int8_symmetric, .enable_per_channel_scale = true});
  CHECK(zero.lut == std::vector<float>(4, 0.0F));
  CHECK(zero.row_scale == std::vector<float>{1, 1});
  CHECK(zero.scale == std::vector<float>{0x1p-23F});
  const palette<float> constant = palettize(tensor<float>({3}, {0.1F, 0.1F, 0.1F}), {});
  CHECK(constant.inertia == numbers{0});
  CHECK(lutra::restore(constant).elements() == std::vector<float>(3, 0.1F));
}

TEST_CASE("palettize: denormals and values near FLT_MAX") {
  constexpr float tiny = std::numeric_limits<float>::denorm_min();
  const tensor<float> small({4}, {tiny, 2 * tiny, 100 * tiny, 101 * tiny});
  const palette<float> s = palettize(small, {.n_bits = 1});
  CHECK(s.codes == std::vector<std::uint8_t>{0, 0, 1, 1});
  constexpr float huge = std::numeric_limits<float>::max();
  const tensor<float> large({4}, {-huge, -0.9F * huge, huge, 0.9F * huge});
  const palette<float> l = palettize(large, {.n_bits = 1});
  CHECK(l.codes == std::vector<std::uint8_t>{0, 0, 1, 1});
  CHECK(std::isfinite(l.lut[1]));
  check_promises(large, l);
}

TEST_CASE("palettize: strided, reversed and broadcast views equal their dense copies") {
  const tensor<float> base = test::normal_weight({8, 12}, 12);
  const auto check = [](const lutra::tensor_view<const float>& v) {
    const palettization_spec spec{.n_bits = 2,
                                  .granularity = granularity::per_grouped_channel(2, 1)};
    CHECK(same(palettize(v, spec), palettize(tensor<float>::copy_of(v), spec)));
  };
  const std::array<index_t, 2> transposed = {1, 12};
  check({base.data(), {12, 8}, transposed});
  const std::array<index_t, 2> reversed = {-12, -1};
  check({base.data() + 95, {8, 12}, reversed});
  const std::array<index_t, 2> every_other = {24, 3};
  check({base.data(), {4, 4}, every_other});
  const std::array<index_t, 2> broadcast = {0, 1};
  check({base.data(), {5, 12}, broadcast});
}

TEST_CASE("palettize: double, float16 and bfloat16 weights") {
  const tensor<float> w = test::normal_weight({6, 20}, 13);
  const auto h = tensor<lutra::half>::copy_of(w);
  const auto b = tensor<lutra::bfloat16>::copy_of(w);
  const auto d = tensor<double>::copy_of(w);
  const palettization_spec spec{.n_bits = 3, .granularity = granularity::per_grouped_channel(3, 0)};
  // Exactly what their float values give.
  CHECK(same(palettize(h, spec), palettize(tensor<float>::copy_of(h), spec)));
  CHECK(same(palettize(b, spec), palettize(tensor<float>::copy_of(b), spec)));
  CHECK(same(palettize(d, spec), palettize(w, spec)));
}

TEST_CASE("palettize: doubles are clustered as doubles") {
  tensor<double> d({4}, {1.0, 1.0 + 1e-9, 1.0 + 5e-9, 1.0 + 6e-9});
  const palette<float> p = palettize(d, {.n_bits = 2});
  CHECK(p.used_entries == std::vector<int>{1});  // the float table cannot tell them apart
  d[3] = 1e300;
  CHECK_ERROR(palettize(d, {}), non_finite, "beyond the range", "1 of 4", "position 3: 1e+300");
}

TEST_CASE("palettize: importance pulls the table, uniform importance changes nothing") {
  const tensor<float> w({1, 8}, {1, 2, 3, 4, 100, 101, 102, 103});
  const std::vector<float> importance = {100, 100, 100, 100, 0.01F, 0.01F, 0.01F, 0.01F};
  const palette<float> p = palettize(w, {.n_bits = 2}, {.importance = {importance.data(), {1, 8}}});
  CHECK(p.lut == std::vector<float>{1, 2, 3.5F, 101.5F});
  CHECK(p.inertia[0] == doctest::Approx(100 * 0.5 + 0.01 * 5).epsilon(1e-6));
  const tensor<float> v = test::normal_weight({5, 40}, 14);
  const std::vector<float> three(200, 3.0F);
  const palette<float> plain = palettize(v, {});
  const palette<float> uniform = palettize(v, {}, {.importance = {three.data(), {5, 40}}});
  CHECK(uniform.lut == plain.lut);
  CHECK(uniform.codes == plain.codes);
  CHECK(uniform.inertia[0] == doctest::Approx(3 * plain.inertia[0]).epsilon(1e-14));
}

TEST_CASE("palettize: weighted groups are optimal") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const tensor<float> w = test::normal_weight({4, 10}, seed);
    tensor<float> importance({4, 10});
    lutra::random_stream random(seed, 9);
    for (float& x : importance.elements()) x = static_cast<float>(0.01 + random.uniform());
    const palette<float> p =
        palettize(w, {.n_bits = 2, .granularity = granularity::per_grouped_channel(1, 0)},
                  {.importance = lutra::view(std::as_const(importance))});
    for (index_t g = 0; g < 4; ++g) {
      numbers x, wt;
      for (const std::size_t i : members(p, g)) {
        x.push_back(static_cast<double>(w.elements()[i]));
        wt.push_back(static_cast<double>(importance.elements()[i]));
      }
      const double best = oracle::optimum(x, wt, 4);
      CHECK(p.inertia[static_cast<std::size_t>(g)] <= best * (1 + 1e-6) + 1e-30);
    }
  }
}

TEST_CASE("palettize: per-channel scale is the row's largest magnitude") {
  const tensor<float> w({3, 4}, {1, 2, -3, 0.5F, -5, 1, 2, -1, 0, 0, 0, 0});
  const palette<float> p = palettize(w, {.n_bits = 3, .enable_per_channel_scale = true});
  CHECK(p.row_scale == std::vector<float>{3, 5, 1});
  for (const float x : p.lut) CHECK(std::fabs(x) <= 1.0F);
}

TEST_CASE("palettize: scale^2 importance lowers the error of the weight itself") {
  tensor<float> w = test::normal_weight({32, 64}, 15);
  for (index_t i = 0; i < w.size(); ++i) w[i] *= 0.002F + 0.006F * static_cast<float>(i / 64);
  const palettization_spec spec{.n_bits = 3, .enable_per_channel_scale = true};
  const palette<float> ours = palettize(w, spec);
  const palette<float> theirs = palettize(w, spec, {.scale_squared_importance = false});
  CHECK(total(ours.inertia) < total(theirs.inertia));
  CHECK(ours.status[0] == lutra::palette_status::optimal);
  // The stated inertia is that of the restored weight.
  const auto dense = lutra::restore(ours);
  double sum = 0;
  for (index_t i = 0; i < w.size(); ++i) {
    const double d = static_cast<double>(w[i]) - static_cast<double>(dense[i]);
    sum += d * d;
  }
  CHECK(total(ours.inertia) == doctest::Approx(sum).epsilon(1e-5));
}

TEST_CASE("palettize: quantized tables state their error and their collapsed entries") {
  tensor<float> w = test::normal_weight({32, 32}, 16, 0.02);
  w[5] = 3.0F;  // one large weight makes the steps of int8 coarse
  const palette<float> p = palettize(w, {.n_bits = 4, .lut_qspec = lutra::int8_symmetric});
  CHECK(p.lut_dtype == lutra::dtype::int8);
  CHECK(p.zero_point == std::vector<std::int32_t>{0});
  const std::set<float> distinct(p.lut.begin(), p.lut.end());
  CHECK(p.used_entries[0] - p.collapsed_entries[0] == static_cast<int>(distinct.size()));
  CHECK(p.collapsed_entries[0] > 0);
  CHECK(p.error[0] > p.inertia[0]);
  const auto dense = lutra::restore(lutra::pack(p));
  double sum = 0;
  for (index_t i = 0; i < w.size(); ++i) {
    const double d = static_cast<double>(w[i]) - static_cast<double>(dense[i]);
    sum += d * d;
  }
  CHECK(p.error[0] == doctest::Approx(sum).epsilon(1e-12));
  // The codes stay those of the float table.
  CHECK(p.codes == palettize(w, {.n_bits = 4}).codes);
}

TEST_CASE("palettize: every group has its own table scale") {
  const tensor<float> w({2, 2}, {1, -1, 100, 50});
  const palette<float> p = palettize(w, {.n_bits = 1,
                                         .lut_qspec = lutra::int8_symmetric_with_clipping,
                                         .granularity = granularity::per_grouped_channel(1, 0)});
  CHECK(p.scale == std::vector<float>{1.0F / 127.0F, 100.0F / 127.0F});
}

// Runs the pieces backwards, or on three threads.
struct reversed_executor {
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    for (index_t i = n; i-- > 0;) f(i);
  }
};
struct threads_executor {
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    std::vector<std::thread> threads;
    for (index_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (index_t i = t; i < n; i += 3) f(i);
      });
    }
    for (std::thread& t : threads) t.join();
  }
};

TEST_CASE("palettize: the same bits for every executor") {
  const tensor<float> w = test::normal_weight({24, 50}, 17);
  for (const index_t size : {1, 5, 24}) {
    const palettization_spec spec{.n_bits = 3,
                                  .lut_qspec = lutra::int8_symmetric,
                                  .granularity = granularity::per_grouped_channel(size, 0),
                                  .enable_per_channel_scale = true};
    const palette<float> serial = palettize(w, spec);
    CHECK(same(palettize(w, spec, {}, reversed_executor{}), serial));
    CHECK(same(palettize(w, spec, {}, threads_executor{}), serial));
  }
}

TEST_CASE("palettize: reference_fast is never better than the default") {
  for (const double sd : {1.0, 0.02, 1e-3, 1e-4}) {
    const tensor<float> w = test::normal_weight({16, 64}, 18, sd);
    const palettization_spec spec{.n_bits = 4,
                                  .granularity = granularity::per_grouped_channel(8, 0)};
    const palette<float> ours = palettize(w, spec);
    const palette<float> theirs = palettize(w, spec, {.mode = palettize_mode::reference_fast});
    for (std::size_t g = 0; g < 2; ++g) CHECK(ours.inertia[g] <= theirs.inertia[g]);
    CHECK(theirs.status[0] == lutra::palette_status::unproven);
    CHECK(theirs.lower_bound[0] == 0.0);
    if (sd < 1e-3) CHECK(theirs.inertia[0] > 2 * ours.inertia[0]);  // absolute rounding
  }
}

TEST_CASE("palettize: progress is reported and can cancel") {
  const tensor<float> w = test::normal_weight({300, 4}, 19);
  index_t calls = 0;
  palettize_options options{.where = "layer",
                            .progress = [&](std::string_view stage, index_t done, index_t all) {
                              CHECK(stage == "layer");
                              CHECK(done < all);
                              CHECK(all == 300);
                              return ++calls < 5;
                            }};
  const palettization_spec spec{.n_bits = 1, .granularity = granularity::per_grouped_channel(1, 0)};
  CHECK_ERROR(palettize(w, spec, options), cancelled, "layer", "of 300");
  CHECK(calls == 5);
  calls = -1'000'000;
  CHECK(same(palettize(w, spec, options), palettize(w, spec)));
}

TEST_CASE("palettize: refuses bad input by name") {
  tensor<float> w = test::normal_weight({4, 6}, 20);
  const auto refuse = [&](const palettization_spec& s, const palettize_options& o = {}) {
    return palettize(w, s, o);
  };
  CHECK_ERROR(refuse({.n_bits = 9}), invalid_argument, "n_bits");
  CHECK_ERROR(refuse({.granularity = granularity::per_grouped_channel(2, 2)}), invalid_argument,
              "axis", "got 2");
  CHECK_ERROR(refuse({.granularity = granularity::per_block({2, 2, 2})}), shape_mismatch, "rank 2");
  CHECK_ERROR(granularity::per_grouped_channel(0, 0), invalid_argument, "group_size", "got 0");
  CHECK_ERROR(granularity::per_grouped_channel(-3, 0), invalid_argument, "group_size", "got -3");
  CHECK_ERROR(refuse({}, {.rounding_precision = 0}), invalid_argument, "rounding_precision", "0");
  const std::vector<float> ones(24, 1.0F);
  CHECK_ERROR(refuse({}, {.importance = {ones.data(), {6, 4}}}), shape_mismatch, "importance",
              "[6, 4]", "[4, 6]");
  for (const float bad : {0.0F, -1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> importance = ones;
    importance[7] = bad;
    CHECK_ERROR(refuse({}, {.importance = {importance.data(), {4, 6}}}), invalid_argument,
                "position 7");
  }
  CHECK_ERROR(palettize(tensor<float>(shape{}, {1}), {.enable_per_channel_scale = true}),
              incompatible, "per-channel scale");
  w[3] = std::nanf("");
  w[9] = -std::numeric_limits<float>::infinity();
  CHECK_ERROR(refuse({}, {.where = "conv1.weight"}), non_finite, "conv1.weight", "2 of 24",
              "position 3");
}

TEST_CASE("palettize: a group size above the extent is one short group") {
  const tensor<float> w = test::normal_weight({4, 6}, 21);
  const palette<float> p = palettize(w, {.granularity = granularity::per_grouped_channel(100, 0)});
  CHECK(p.groups().count() == 1);
  CHECK(p.lut == palettize(w, {}).lut);
}

TEST_CASE("palettize: light elements are not lost beside a heavy one, and what is claimed holds") {
  const tensor<float> w = test::normal_weight({64, 64}, 22);
  const palettization_spec halves{.granularity = granularity::per_grouped_channel(32, 0)};
  double inertia = 0, bound = 0;  // of the first group
  // Importances of the first group; the second has that of one.
  const auto claims = [&](std::span<const float> first, palettize_mode mode) {
    std::vector<float> importance(4096, 1.5F);
    std::copy(first.begin(), first.end(), importance.begin());
    const palette<float> p =
        palettize(w, halves, {.mode = mode, .importance = {importance.data(), w.extents()}});
    std::array<bool, 2> claimed{};
    for (std::size_t g = 0; g < 2; ++g) {
      claimed[g] = p.status[g] == lutra::palette_status::optimal ||
                   p.status[g] == lutra::palette_status::certified;
      CHECK(claimed[g] == (p.lower_bound[g] > 0));
    }
    CHECK(claimed[1]);
    inertia = p.inertia[0];
    bound = p.lower_bound[0];
    return claimed[0];
  };
  for (const auto mode : {palettize_mode::certified, palettize_mode::exact}) {
    std::vector<float> importance(2048, 1.5F);
    importance[1000] = 1e10F;
    CHECK(claims(importance, mode));
    // More weight changes next to nothing: the element has had an entry of its own all the same.
    const double before = inertia;
    const double least = bound;
    importance[1000] = 1e16F;
    CHECK(claims(importance, mode));
    CHECK(bound <= inertia);
    CHECK(bound >= least * (1 - 1e-2));
    CHECK(inertia >= before * (1 - 1e-4));
    // Elements of next to no weight do no harm: the others decide.
    std::fill(importance.begin(), importance.end(), 1.5F);
    importance[1000] = 1e-20F;
    CHECK(claims(importance, mode));
  }
}

}  // namespace
