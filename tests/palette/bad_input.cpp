// What palettize does with input that nobody should give it.
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "cluster/samples.hpp"
#include "errors.hpp"

namespace {

using lutra::granularity;
using lutra::index_t;
using lutra::palette;
using lutra::palettize;
using lutra::palettize_mode;
using lutra::tensor;
using lutra::tensor_view;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

lutra::palettize_options ignore(palettize_mode mode = palettize_mode::certified) {
  lutra::palettize_options o;
  o.mode = mode;
  o.non_finite = lutra::non_finite_values::ignore;
  return o;
}

TEST_CASE("bad_input: NaN and infinity are refused by count and first position, in every type") {
  std::vector<float> x = samples::draw("normal", 200);
  x[150] = -infinite;
  x[31] = not_a_number;
  x[32] = infinite;
  const tensor_view<const float> w(x.data(), {10, 20});
  const auto refused = [](const auto& t) { return palettize(t, {}, {.where = "conv.weight"}); };
  const auto check = [&](const auto& t) {
    CHECK_ERROR(refused(t), non_finite, "conv.weight", "3 of 200", "first at position 31");
  };
  check(w);
  check(tensor<double>::copy_of(w));
  check(tensor<lutra::half>::copy_of(w));
  check(tensor<lutra::bfloat16>::copy_of(w));
  // Positions are those of the tensor, not of memory.
  const std::array<index_t, 2> reversed = {-20, -1};
  CHECK_ERROR(refused(tensor_view<const float>(x.data() + 199, {10, 20}, reversed)), non_finite,
              "first at position 49");
}

TEST_CASE("bad_input: ignored values change nothing for the others, and are counted") {
  for (const std::size_t n : {std::size_t{900}, std::size_t{140000}}) {
    const std::vector<float> clean = samples::draw("normal", n);
    std::vector<float> dirty;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < n; ++i) {
      if (i % (n / 7) == 5) {
        places.push_back(dirty.size());
        dirty.push_back(places.size() % 3 == 0 ? not_a_number
                                               : (places.size() % 3 == 1 ? infinite : -infinite));
      }
      dirty.push_back(clean[i]);
    }
    const auto check = [&](const auto& w, const auto& of_clean,
                           const lutra::palettization_spec& spec, palettize_mode mode) {
      const auto p = palettize(w, spec, ignore(mode));
      const auto want = palettize(of_clean, spec, {.mode = mode});
      CHECK(p.ignored == static_cast<index_t>(places.size()));
      CHECK(want.ignored == 0);
      CHECK(p.lut == want.lut);
      CHECK(p.inertia == want.inertia);
      CHECK(p.error == want.error);
      CHECK(p.lower_bound == want.lower_bound);
      std::size_t at = 0, place = 0;
      bool same = true;
      for (std::size_t i = 0; i < dirty.size(); ++i) {
        if (place == places.size() || i != places[place]) {
          same = same && p.codes[i] == want.codes[at++];
          continue;
        }
        ++place;
        const float value = p.lut[p.codes[i]];
        if (std::isnan(dirty[i])) {
          for (const float entry : p.lut) CHECK(std::fabs(value) <= std::fabs(entry));
        } else {
          CHECK(value == (dirty[i] > 0 ? p.lut.back() : p.lut.front()));
        }
      }
      CHECK(same);
    };
    const tensor_view<const float> w(dirty.data(), {static_cast<index_t>(dirty.size())});
    const tensor_view<const float> c(clean.data(), {static_cast<index_t>(clean.size())});
    check(w, c, {}, palettize_mode::certified);
    check(w, c, {.n_bits = 2, .lut_qspec = lutra::int8_symmetric}, palettize_mode::exact);
    check(tensor<lutra::bfloat16>::copy_of(w), tensor<lutra::bfloat16>::copy_of(c), {},
          palettize_mode::certified);
    check(tensor<double>::copy_of(w), tensor<double>::copy_of(c), {.n_bits = 1},
          palettize_mode::certified);
    if (n < 1000) check(w, c, {}, palettize_mode::reference_fast);
  }
}

TEST_CASE("bad_input: groups of nothing but NaN; row scales and importance without them") {
  const tensor<float> w({3, 2}, {not_a_number, not_a_number, 1, 4, infinite, -2});
  const std::vector<float> importance = {1, 2, 3, 4, 5, 6};
  const lutra::palettization_spec spec{.n_bits = 1,
                                       .lut_qspec = lutra::int8_symmetric,
                                       .granularity = granularity::per_grouped_channel(1, 0),
                                       .enable_per_channel_scale = true,
                                       .refine_lut = true};
  auto options = ignore();
  options.importance = {importance.data(), {3, 2}};
  const auto p = palettize(w, spec, options);
  CHECK(p.ignored == 3);
  CHECK(p.row_scale == std::vector<float>{1, 4, 2});
  CHECK(p.status[0] == lutra::palette_status::empty);
  CHECK(p.error[0] == 0.0);
  const auto dense = lutra::restore(lutra::pack(p));
  CHECK(dense[0] == 0.0F);
  for (const float x : dense.elements()) CHECK(std::isfinite(x));
  CHECK(dense[5] == doctest::Approx(-2).epsilon(0.01));
  // Beyond float: ignored as infinities are.
  const tensor<double> d({3}, {1e300, 1, 2});
  CHECK(palettize(d, {.n_bits = 1}, ignore()).lut == std::vector<float>{1, 2});
}

TEST_CASE("bad_input: empty weights with every option") {
  const tensor<float> none({0, 5});
  const std::vector<float> importance(1);
  auto options = ignore();
  options.importance = {importance.data(), {0, 5}};
  for (const auto mode :
       {palettize_mode::certified, palettize_mode::exact, palettize_mode::reference_fast}) {
    options.mode = mode;
    const auto p = palettize(none,
                             {.lut_qspec = lutra::int8_symmetric,
                              .granularity = granularity::per_grouped_channel(2, 1),
                              .enable_per_channel_scale = true,
                              .refine_lut = true,
                              .outliers = {.count = 3}},
                             options);
    CHECK(p.codes.empty());
    CHECK(p.outliers.empty());
    CHECK(p.status == std::vector(3, lutra::palette_status::empty));
    for (const float entry : p.lut) CHECK(entry == 0.0F);
    CHECK(lutra::pack(p).bytes() == 3 * (16 + 4));
    CHECK(lutra::restore(lutra::pack(p)).size() == 0);
  }
}

TEST_CASE("bad_input: one element, constants and few distinct values, small and large") {
  for (const index_t n : {1, 2, 300, 140000}) {
    const tensor<float> constant({n}, std::vector<float>(static_cast<std::size_t>(n), -0.3F));
    for (const auto mode :
         {palettize_mode::certified, palettize_mode::exact, palettize_mode::reference_fast}) {
      for (const int bits : {1, 8}) {
        const auto p = palettize(constant, {.n_bits = bits}, {.mode = mode});
        CHECK(p.used_entries[0] == 1);
        if (mode == palettize_mode::reference_fast) continue;
        CHECK(p.inertia[0] == 0.0);
        CHECK(p.lower_bound[0] == 0.0);
        CHECK(p.status[0] <= lutra::palette_status::certified);
        CHECK(lutra::restore(p) == constant);
      }
    }
  }
  const std::vector<float> two = samples::draw("two values", 140000);
  const auto p = palettize(tensor_view<const float>(two.data(), {140000}), {.n_bits = 8});
  CHECK(p.used_entries[0] == 2);
  CHECK(p.inertia[0] == 0.0);
  CHECK(lutra::restore(p).elements() == two);
}

TEST_CASE("bad_input: denormals and values near FLT_MAX, small and large, in every mode") {
  for (const std::size_t n : {std::size_t{500}, std::size_t{140000}}) {
    const std::vector<float> unit = samples::draw("uniform", n);
    for (const double scale : {1e-43, 1e-39, 3.4e38}) {
      std::vector<float> x;
      for (const float u : unit) {
        x.push_back(static_cast<float>((2 * static_cast<double>(u) - 1) * scale));
      }
      const tensor_view<const float> w(x.data(), {2, static_cast<index_t>(n / 2)});
      const double mean_square = scale * scale / 3;
      for (const auto mode : {palettize_mode::certified, palettize_mode::exact}) {
        for (const bool scaled : {false, true}) {
          const auto p =
              palettize(w, {.n_bits = 4, .enable_per_channel_scale = scaled}, {.mode = mode});
          CAPTURE(scale);
          CAPTURE(n);
          CHECK(std::isfinite(p.inertia[0]));
          // 16 equal steps, and what rounding to denormals costs.
          const double rounding = scaled ? 0.0 : 1.4e-45 * 1.4e-45;
          CHECK(p.inertia[0] / static_cast<double>(n) <= mean_square / 200 + rounding);
          for (const float entry : p.lut) CHECK(std::isfinite(entry));
          const auto dense = lutra::restore(p);
          bool finite = true;
          for (const float v : dense.elements()) finite = finite && std::isfinite(v);
          CHECK(finite);
        }
      }
    }
  }
}

TEST_CASE("bad_input: a table too wide for an 8-bit scale is an error, not infinity") {
  constexpr float largest = std::numeric_limits<float>::max();
  const tensor<float> w({4}, {-largest, largest, 1, -1});
  CHECK_ERROR(palettize(w, {.lut_qspec = {.qscheme = lutra::qscheme::asymmetric}}), non_finite,
              "too wide");
  for (const lutra::quantization_spec& spec :
       {lutra::int8_symmetric, lutra::int8_symmetric_with_clipping,
        lutra::quantization_spec{.dtype = lutra::dtype::uint8},
        lutra::quantization_spec{.dtype = lutra::dtype::float8_e4m3fn}}) {
    for (const bool refined : {false, true}) {
      const auto p = palettize(w, {.n_bits = 2, .lut_qspec = spec, .refine_lut = refined});
      for (const float entry : p.lut) CHECK(std::isfinite(entry));
      CHECK(p.lut[0] == doctest::Approx(static_cast<double>(-largest)).epsilon(0.02));
    }
  }
}

TEST_CASE("bad_input: group sizes, axes and shapes") {
  const tensor<float> w({4, 6}, samples::draw("normal", 24));
  CHECK_ERROR(granularity::per_grouped_channel(0, 0), invalid_argument, "group_size", "got 0");
  CHECK_ERROR(granularity::per_grouped_channel(-1, 0), invalid_argument, "group_size", "got -1");
  for (const int axis : {2, -3, 7}) {
    CHECK_ERROR(palettize(w, {.granularity = granularity::per_grouped_channel(1, axis)}),
                invalid_argument, "axis");
  }
  CHECK(palettize(w, {.granularity = granularity::per_grouped_channel(1000, 1)}).lut ==
        palettize(w, {}).lut);
  constexpr index_t large = index_t{1} << 40;
  CHECK_ERROR((lutra::shape{large, large}.size()), size_overflow, "overflow");
}

TEST_CASE("bad_input: importance of another shape, or not positive") {
  const tensor<float> w({2, 3}, {1, 2, 3, 4, 5, 6});
  std::vector<float> importance(6, 1.0F);
  const auto run = [&](const lutra::shape& s) {
    return palettize(w, {}, {.importance = {importance.data(), s}});
  };
  CHECK_ERROR(run({3, 2}), shape_mismatch, "importance", "[3, 2]", "[2, 3]");
  CHECK_ERROR(run({6}), shape_mismatch, "importance", "[6]");
  for (const float bad : {0.0F, -0.0F, -2.0F, not_a_number, infinite}) {
    importance[4] = bad;
    CHECK_ERROR(run({2, 3}), invalid_argument, "position 4");
  }
  // Legal extremes.
  importance = {1e-38F, 1e38F, 1, 1e-38F, 1e-30F, 1e30F};
  const auto p = run({2, 3});
  CHECK(p.inertia[0] == 0.0);
}

}  // namespace
