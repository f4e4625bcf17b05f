#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/fit_weighted.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "backward_executor.hpp"
#include "cluster/samples.hpp"
#include "quick.hpp"

namespace {

using lutra::index_t;
using lutra::palette_status;
using lutra::tensor;

// Rows of very different scale.
tensor<float> uneven_rows(const std::string& name, index_t rows = 300) {
  tensor<float> w({rows, 512}, samples::draw(name, static_cast<std::size_t>(rows) * 512));
  for (index_t i = 0; i < w.size(); ++i) w[i] *= static_cast<float>(1 + i / 512 % 7);
  return w;
}
tensor<float> importance(const tensor<float>& w) {
  tensor<float> f(w.extents());
  lutra::random_stream random(3);
  for (index_t i = 0; i < f.size(); ++i) {
    f[i] = static_cast<float>(1e-4 + random.uniform() * random.uniform());
  }
  return f;
}

// Sum of importance * (w - row_scale * entry)^2, from the palette.
double error_of(const tensor<float>& w, const tensor<float>* f, const lutra::palette<float>& p) {
  long double sum = 0;
  for (index_t i = 0; i < w.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    long double entry = static_cast<long double>(p.lut[p.codes[at]]);
    if (!p.row_scale.empty()) entry *= static_cast<long double>(p.row_scale[at / 512]);
    const long double d = static_cast<long double>(w[i]) - entry;
    sum += (f != nullptr ? static_cast<long double>((*f)[i]) : 1.0L) * d * d;
  }
  return static_cast<double>(sum);
}

TEST_CASE("fit_weighted: within 1e-6 of the optimum, proven to 1e-4, with scales and importance") {
  const bool quick = test::quick();
  for (const char* name : {"normal", "laplace", "student3", "lognormal", "half normal"}) {
    if (quick && std::string(name) != "laplace") continue;
    const tensor<float> w = uneven_rows(name);
    const tensor<float> f = importance(w);
    for (const int which : {1, 2, 3}) {
      lutra::palettization_spec spec;
      spec.enable_per_channel_scale = (which & 1) != 0;
      lutra::palettize_options options;
      if ((which & 2) != 0) options.importance = lutra::view(f);
      const auto got = lutra::palettize(w, spec, options);
      options.mode = lutra::palettize_mode::exact;
      const auto best = lutra::palettize(w, spec, options);
      CAPTURE(name);
      CAPTURE(which);
      CHECK(got.status[0] == palette_status::certified);
      CHECK(best.status[0] == palette_status::optimal);
      CHECK(got.inertia[0] <= best.inertia[0] * (1 + 1e-6));
      CHECK(got.lower_bound[0] <= best.inertia[0] * (1 + 1e-12));
      CHECK(got.inertia[0] <= got.lower_bound[0] * (1 + 1e-4));
      CHECK(got.inertia[0] ==
            doctest::Approx(error_of(w, (which & 2) != 0 ? &f : nullptr, got)).epsilon(1e-9));
    }
  }
}

// However far the outlier is, it takes one entry and the others get what they got beside a near one.
TEST_CASE("fit_weighted: beside outliers however far, proven, with importance and without") {
  std::vector<float> x = samples::draw("normal", 512 * 300);
  const std::vector<float> f = samples::draw("lognormal", x.size(), 3);
  for (const int bits : {4, 8}) {
    if (bits == 8 && test::quick()) continue;
    for (const bool weighted : {false, true}) {
      double near = 0;
      for (const float far : {1e3F, 1e6F, -1e12F, 1e38F, -3e38F}) {
        x[777] = far;
        lutra::palettize_options options;
        if (weighted) options.importance = lutra::tensor_view<const float>(f.data(), {300, 512});
        const auto got = lutra::palettize(lutra::tensor_view<const float>(x.data(), {300, 512}),
                                          {.n_bits = bits}, options);
        CAPTURE(bits);
        CAPTURE(weighted);
        CAPTURE(far);
        CHECK(got.status[0] == palette_status::certified);
        CHECK(got.lut[got.codes[777]] == far);
        if (near == 0) near = got.inertia[0];
        CHECK(got.inertia[0] == doctest::Approx(near).epsilon(bits == 4 ? 2e-6 : 2e-4));
      }
    }
  }
}

TEST_CASE("fit_weighted: 256 entries within 1e-4 of the optimum, proven to 1e-2") {
  if (test::quick()) return;
  const tensor<float> w = uneven_rows("normal");
  const lutra::palettization_spec spec{.n_bits = 8, .enable_per_channel_scale = true};
  const auto got = lutra::palettize(w, spec);
  const auto best = lutra::palettize(w, spec, {.mode = lutra::palettize_mode::exact});
  CHECK(got.status[0] == palette_status::certified);
  CHECK(got.inertia[0] <= best.inertia[0] * (1 + 1e-3));
  CHECK(got.lower_bound[0] <= best.inertia[0] * (1 + 1e-12));
  CHECK(got.inertia[0] <= got.lower_bound[0] * (1 + 1e-2));
}

TEST_CASE("fit_weighted: any executor, same bits; a power of two changes exponents only") {
  const tensor<float> w = uneven_rows("laplace", 1200);
  const lutra::palettization_spec spec{.lut_qspec = lutra::int8_symmetric_with_clipping,
                                       .enable_per_channel_scale = true,
                                       .refine_lut = true};
  const auto a = lutra::palettize(w, spec);
  const auto b = lutra::palettize(w, spec, {}, test::backward_executor{});
  CHECK(a.codes == b.codes);
  CHECK(a.lut == b.lut);
  CHECK(a.inertia == b.inertia);
  CHECK(a.lower_bound == b.lower_bound);
  CHECK(a.error == b.error);
  tensor<float> larger = w;
  for (float& x : larger.elements()) x *= 1024.0F;
  const auto c = lutra::palettize(larger, spec);
  CHECK(a.codes == c.codes);
  CHECK(a.lut == c.lut);
  CHECK(c.inertia[0] == a.inertia[0] * 0x1p20);
}

TEST_CASE("fit_weighted: what is clustered is not what is reported: no bound, an honest status") {
  const tensor<float> w = uneven_rows("normal");
  lutra::palettize_options options{.scale_squared_importance = false};
  const auto got = lutra::palettize(w, {.enable_per_channel_scale = true}, options);
  CHECK(got.status[0] == palette_status::certified);
  CHECK(got.lower_bound[0] == 0);
  options.mode = lutra::palettize_mode::exact;
  const auto best = lutra::palettize(w, {.enable_per_channel_scale = true}, options);
  CHECK(got.inertia[0] == doctest::Approx(best.inertia[0]).epsilon(1e-3));
}

TEST_CASE("fit_weighted: coarse, very large and very small values are sorted instead") {
  tensor<float> w = uneven_rows("duplicates");
  const tensor<float> f = importance(w);
  lutra::palettize_options options;
  options.importance = lutra::view(f);
  CHECK(lutra::palettize(w, {}, options).status[0] == palette_status::optimal);
  const std::vector<double> large(10, 0x1p200);
  const std::vector<double> usual(10, 3.0);
  CHECK_FALSE(lutra::squares_are_harmless(lutra::group_source<double>{large, {}, {}}));
  CHECK(lutra::squares_are_harmless(lutra::group_source<double>{usual, {}, {}}));
  tensor<double> huge({300, 512});
  for (index_t i = 0; i < w.size(); ++i) huge[i] = static_cast<double>(w[i]) * 0x1p100;
  CHECK(lutra::palettize(huge, {}).inertia[0] < 1e300);
}

TEST_CASE("fit_weighted: doubles and bfloat16 with row scales") {
  const tensor<float> w = uneven_rows("normal");
  const lutra::palettization_spec spec{.enable_per_channel_scale = true};
  const auto single = lutra::palettize(w, spec);
  tensor<double> d({300, 512});
  for (index_t i = 0; i < w.size(); ++i) d[i] = static_cast<double>(w[i]);
  const auto wide = lutra::palettize(d, spec);
  CHECK(wide.status[0] == palette_status::certified);
  CHECK(wide.codes == single.codes);
  CHECK(wide.lut == single.lut);
  const auto b = tensor<lutra::bfloat16>::copy_of(w);
  const auto narrow = lutra::palettize(b, spec);
  CHECK(narrow.inertia[0] == doctest::Approx(single.inertia[0]).epsilon(0.01));
  CHECK(narrow.inertia[0] >= narrow.lower_bound[0]);
}

}  // namespace
