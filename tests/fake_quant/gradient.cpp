#include <lutra/fake_quant/gradient.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "errors.hpp"
#include "fake_quant/cases.hpp"
#include "levels.hpp"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

using lutra::granularity;
using lutra::index_t;
using lutra::qparams;
using lutra::quantization_spec;
using lutra::quotient;
using lutra::shape;
using view = lutra::tensor_view<const float>;
using out_view = lutra::tensor_view<float>;

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(a, b, [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y) || (x != x && y != y);
  });
}

qparams params_for(quantization_spec spec, const granularity& g, index_t units) {
  spec.granularity = g;
  std::vector<float> lo;
  std::vector<float> hi;
  for (index_t u = 0; u < units; ++u) {
    lo.push_back(-3.0F - static_cast<float>(u));
    hi.push_back(5.0F - 0.25F * static_cast<float>(u));
  }
  return lutra::qparams_from_range(spec, lo, hi);
}

// What the header promises, element by element.
struct expected_backward {
  std::vector<float> dx;
  std::vector<double> scale, offset;
};
expected_backward backward_by_definition(std::span<const float> x, std::span<const float> dy,
                                         const qparams& p, const lutra::block_grid& units,
                                         quotient q) {
  expected_backward e{std::vector<float>(x.size()), std::vector<double>(p.scale.size()),
                      std::vector<double>(p.scale.size())};
  units.for_each_run([&](index_t first, index_t n, index_t at) {
    const auto u = lutra::unit_of(p, at);
    for (index_t k = first; k < first + n; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const auto one = lutra::quantized_one(x[i], u, q);
      e.dx[i] = one.inside ? dy[i] : 0.0F;
      const auto unit = static_cast<std::size_t>(at);
      e.scale[unit] += static_cast<double>(dy[i]) * static_cast<double>(one.slope);
      const double slope =
          p.qformulation == lutra::qformulation::zp ? -static_cast<double>(u.scale) : 1.0;
      if (one.beyond) e.offset[unit] += static_cast<double>(dy[i]) * slope;
    }
  });
  return e;
}

std::vector<float> normal(index_t n, std::uint64_t seed) {
  lutra::random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = static_cast<float>(r.normal());
  return x;
}

TEST_CASE(
    "gradient: forward with mask is fake_quantize, the mask is the reference's, for every length") {
  for (const auto& spec : specs_of_every_form()) {
    CAPTURE(lutra::name_of(spec.dtype));
    const qparams p = params_for(spec, granularity::per_tensor(), 1);
    const std::vector<float> all = mixed_data(200, p.scale[0], 3);
    for (const quotient q : {quotient::exact, quotient::reciprocal}) {
      for (index_t n = 0; n <= 130; ++n) {
        const float* x = all.data() + n % 5;
        std::vector<float> expected(static_cast<std::size_t>(n));
        lutra::fake_quantize(view(x, {n}), p, out_view(expected.data(), {n}), q);
        for_each_level([&](auto level) {
          using Level = decltype(level);
          std::vector<float> y(static_cast<std::size_t>(n) + 1, -77.0F);
          std::vector<std::uint8_t> mask(static_cast<std::size_t>(lutra::mask_bytes(n)));
          lutra::fake_quantize_with_mask<Level>(view(x, {n}), p, out_view(y.data(), {n}), mask, q);
          CHECK(y.back() == -77.0F);
          y.pop_back();
          CHECK(same_bits(y, expected));
          for (index_t i = 0; i < n; ++i) {
            const bool inside = lutra::quantized_one(x[i], lutra::unit_of(p, 0), q).inside;
            CHECK_UNARY(lutra::bit_at(mask, i) == inside);
          }
          std::vector<float> dy = normal(n, 4);
          std::vector<float> dx(static_cast<std::size_t>(n) + 1, -77.0F);
          lutra::straight_through<Level>(view(dy.data(), {n}), mask, out_view(dx.data(), {n}));
          CHECK(dx.back() == -77.0F);
          for (index_t i = 0; i < n; ++i) {
            const auto k = static_cast<std::size_t>(i);
            CHECK_UNARY(dx[k] == (lutra::bit_at(mask, i) ? dy[k] : 0.0F));
          }
        });
      }
    }
  }
}

TEST_CASE("gradient: per channel and block, short and long runs, mask and parameters") {
  const shape extents{6, 4, 20};
  for (const auto& spec : specs_of_every_form()) {
    for (const granularity& g :
         {granularity::per_tensor(), granularity::per_channel(0), granularity::per_channel(1),
          granularity::per_channel(2), granularity::per_block({2, 3, -1}),
          granularity::per_block({1, 1, 16})}) {
      const auto units = lutra::grid_of(g, extents, "test", lutra::short_groups::allow);
      const qparams p = params_for(spec, g, units.count());
      const std::vector<float> x = mixed_data(480, p.scale[0], 6);
      const std::vector<float> dy = normal(480, 7);
      const expected_backward e = backward_by_definition(x, dy, p, units, quotient::exact);
      lutra::qparam_gradients first;
      for_each_level([&](auto level) {
        using Level = decltype(level);
        std::vector<float> dx(480);
        const auto got = lutra::learnable_backward<Level>(
            view(x.data(), extents), view(dy.data(), extents), p, out_view(dx.data(), extents));
        CHECK(same_bits(dx, e.dx));
        REQUIRE(got.scale.size() == e.scale.size());
        for (std::size_t u = 0; u < e.scale.size(); ++u) {
          CHECK(got.scale[u] == doctest::Approx(e.scale[u]).epsilon(1e-11));
        }
        if (lutra::is_integer(spec.dtype)) {
          for (std::size_t u = 0; u < e.scale.size(); ++u) {
            CHECK(got.offset[u] == doctest::Approx(e.offset[u]).epsilon(1e-11));
          }
        } else {
          CHECK(got.offset.empty());
        }
        if (first.scale.empty()) first = got;
        CHECK(got.scale == first.scale);  // bit for bit
        CHECK(got.offset == first.offset);
        std::vector<std::uint8_t> mask(60);
        std::vector<float> y(480);
        lutra::fake_quantize_with_mask<Level>(view(x.data(), extents), p,
                                              out_view(y.data(), extents), mask);
        lutra::straight_through<Level>(view(dy.data(), extents), mask,
                                       out_view(dx.data(), extents));
        CHECK(same_bits(dx, e.dx));
      });
    }
  }
}

TEST_CASE("gradient: byte masks say what bit masks say") {
  for (const auto& spec : specs_of_every_form()) {
    const qparams p = params_for(spec, granularity::per_channel(0), 6);
    const shape extents{6, 40};
    const std::vector<float> x = mixed_data(240, p.scale[0], 12);
    const std::vector<float> dy = normal(240, 13);
    std::vector<float> y(240);
    std::vector<std::uint8_t> bits(30);
    std::vector<std::uint8_t> bytes(240);
    lutra::fake_quantize_with_mask(view(x.data(), extents), p, out_view(y.data(), extents), bits);
    lutra::straight_through_mask(view(x.data(), extents), p,
                                 lutra::tensor_view<std::uint8_t>(bytes.data(), extents));
    for (index_t i = 0; i < 240; ++i) {
      CHECK_UNARY((bytes[static_cast<std::size_t>(i)] == 1) == lutra::bit_at(bits, i));
    }
    std::vector<float> by_bits(240);
    std::vector<float> by_bytes(240);
    lutra::straight_through(view(dy.data(), extents), bits, out_view(by_bits.data(), extents));
    lutra::straight_through_gradient(view(dy.data(), extents),
                                     lutra::tensor_view<const std::uint8_t>(bytes.data(), extents),
                                     out_view(by_bytes.data(), extents));
    CHECK(by_bits == by_bytes);
  }
}

// Where the output saturates it is linear in the parameters; there finite differences are exact derivatives.
TEST_CASE("gradient: finite differences of scale and minval where they exist") {
  const quantization_spec spec{.dtype = lutra::dtype::int4,
                               .qscheme = lutra::qscheme::asymmetric,
                               .qformulation = lutra::qformulation::minval};
  qparams p = params_for(spec, granularity::per_tensor(), 1);
  std::vector<float> x;
  for (int i = 0; i < 200; ++i)
    x.push_back(i % 2 == 0 ? 6.0F + 0.1F * static_cast<float>(i) : -4.0F);
  const std::vector<float> dy = normal(200, 8);
  std::vector<float> dx(200);
  const auto g = lutra::learnable_backward(view(x.data(), {200}), view(dy.data(), {200}), p,
                                           out_view(dx.data(), {200}));
  CHECK(std::ranges::all_of(dx, [](float v) { return v == 0.0F; }));
  const auto loss = [&](const qparams& at) {
    std::vector<float> y(200);
    lutra::fake_quantize(view(x.data(), {200}), at, out_view(y.data(), {200}));
    double sum = 0;
    for (std::size_t i = 0; i < 200; ++i)
      sum += static_cast<double>(dy[i]) * static_cast<double>(y[i]);
    return sum;
  };
  const float h = 0x1p-9F;
  qparams up = p;
  qparams down = p;
  up.scale[0] += h;
  down.scale[0] -= h;
  CHECK(g.scale[0] ==
        doctest::Approx((loss(up) - loss(down)) / (2.0 * static_cast<double>(h))).epsilon(1e-4));
  up = down = p;
  up.minval[0] += h;
  down.minval[0] -= h;
  CHECK(g.offset[0] ==
        doctest::Approx((loss(up) - loss(down)) / (2.0 * static_cast<double>(h))).epsilon(1e-4));
}

// Inside, the straight-through estimate of dy/dscale is y/scale - x/scale.
TEST_CASE("gradient: LSQ's closed form inside the bounds") {
  const qparams p = params_for({}, granularity::per_tensor(), 1);
  std::vector<float> x = normal(1000, 9);
  std::vector<float> y(1000);
  lutra::fake_quantize(view(x.data(), {1000}), p, out_view(y.data(), {1000}));
  const std::vector<float> ones(1000, 1.0F);
  std::vector<float> dx(1000);
  const auto g = lutra::learnable_backward(view(x.data(), {1000}), view(ones.data(), {1000}), p,
                                           out_view(dx.data(), {1000}), 0.5);
  double expected = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    expected +=
        (static_cast<double>(y[i]) - static_cast<double>(x[i])) / static_cast<double>(p.scale[0]);
  }
  CHECK(g.scale[0] == doctest::Approx(0.5 * expected).epsilon(1e-4));
  CHECK(g.offset[0] == 0.0);
  CHECK(dx == ones);
  CHECK(lutra::lsq_gradient_scale(p, 100) == 1.0 / std::sqrt(12'700.0));
}

TEST_CASE("gradient: scales at both ends of the exponent range, in place, strided") {
  const std::vector<float> base = normal(64, 10);
  for (const float scale : {0x1p-126F, 0x1p-100F, 0x1.8p-70F, 0x1p100F, 0x1p120F}) {
    CAPTURE(scale);
    qparams p = params_for({}, granularity::per_tensor(), 1);
    p.scale[0] = scale;
    std::vector<float> x = base;
    for (float& v : x) v *= scale * 60.0F;
    const auto units = lutra::units_of(p, {64}, "test");
    const expected_backward e = backward_by_definition(x, base, p, units, quotient::exact);
    for_each_level([&](auto level) {
      std::vector<float> in_place = base;
      const auto g = lutra::learnable_backward<decltype(level)>(
          view(x.data(), {64}), view(in_place.data(), {64}), p, out_view(in_place.data(), {64}));
      CHECK(same_bits(in_place, e.dx));
      CHECK(g.scale[0] == doctest::Approx(e.scale[0]).epsilon(1e-11));
    });
  }
  const qparams p = params_for({}, granularity::per_channel(0), 8);
  const std::array<index_t, 2> strides{1, 8};
  std::vector<float> dx(64);
  lutra::learnable_backward(view(base.data(), {8, 8}, strides), view(base.data(), {8, 8}, strides),
                            p, out_view(dx.data(), {8, 8}, strides));
  CHECK(same_bits(dx, base));
}

TEST_CASE("gradient: written around the caches, the same bits at every level and misalignment") {
  const index_t threshold = lutra::simd::stream_threshold();
  const shape extents{3, (index_t{1} << 14) + 21};  // more than a block of sums, rows out of line
  const auto n = static_cast<std::size_t>(extents.size());
  const std::vector<float> x = mixed_data(extents.size(), 0.03F, 20);
  const std::vector<float> dy = normal(extents.size(), 21);
  for (const auto& spec : specs_of_every_form()) {
    for (const bool channels : {false, true}) {
      const qparams p = channels ? params_for(spec, granularity::per_channel(0), 3)
                                 : params_for(spec, granularity::per_tensor(), 1);
      CAPTURE(lutra::name_of(spec.dtype));
      CAPTURE(channels);
      std::vector<float> y(n), dx(n), through(n);
      std::vector<std::uint8_t> mask(static_cast<std::size_t>(lutra::mask_bytes(extents.size())));
      lutra::fake_quantize_with_mask(view(x.data(), extents), p, out_view(y.data(), extents), mask);
      const auto g = lutra::learnable_backward(view(x.data(), extents), view(dy.data(), extents), p,
                                               out_view(dx.data(), extents));
      lutra::straight_through(view(dy.data(), extents), mask, out_view(through.data(), extents));
      for_each_level([&](auto level) {
        using Level = decltype(level);
        for (const std::size_t shift : {0U, 1U, 4U, 8U, 16U}) {
          std::vector<float> out(n + 48, 77.0F);
          std::size_t at = shift;
          while (reinterpret_cast<std::uintptr_t>(out.data() + at - shift) % 64 != 0) ++at;
          const auto got = [&] { return std::span<const float>(out).subspan(at, n); };
          const out_view to(out.data() + at, extents);
          std::vector<std::uint8_t> bits(mask.size());
          lutra::simd::set_stream_threshold(1);
          lutra::fake_quantize_with_mask<Level>(view(x.data(), extents), p, to, bits);
          CHECK(same_bits(got(), y));
          CHECK(bits == mask);
          const auto sums = lutra::learnable_backward<Level>(view(x.data(), extents),
                                                             view(dy.data(), extents), p, to);
          CHECK(same_bits(got(), dx));
          CHECK(sums.scale == g.scale);
          CHECK(sums.offset == g.offset);
          lutra::straight_through<Level>(view(dy.data(), extents), mask, to);
          CHECK(same_bits(got(), through));
          lutra::simd::set_stream_threshold(threshold);
          CHECK((out[at + n] == 77.0F && (at == 0 || out[at - 1] == 77.0F)));
        }
      });
    }
  }
}

TEST_CASE("gradient: NaN, infinite and zero gradients stay where they are") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const qparams p = params_for({}, granularity::per_tensor(), 1);
  const auto units = lutra::units_of(p, {64}, "test");
  for (const float special : {nan, infinity, -infinity, -0.0F}) {
    for (const float value : {0.5F, -1e9F, 1e9F, nan}) {  // inside, below, above
      CAPTURE(special);
      CAPTURE(value);
      std::vector<float> x = normal(64, 22);
      std::vector<float> dy = normal(64, 23);
      x[37] = value;
      dy[37] = special;
      const expected_backward e = backward_by_definition(x, dy, p, units, quotient::exact);
      for_each_level([&](auto level) {
        std::vector<float> dx(64);
        const auto g = lutra::learnable_backward<decltype(level)>(
            view(x.data(), {64}), view(dy.data(), {64}), p, out_view(dx.data(), {64}));
        CHECK(same_bits(dx, e.dx));
        const auto alike = [](double a, double b) {
          return (a != a && b != b) || a == b || std::abs(a - b) <= 1e-9 * std::abs(b);
        };
        CHECK(alike(g.scale[0], e.scale[0]));
        CHECK(alike(g.offset[0], e.offset[0]));
      });
    }
  }
}

#if defined(__SSE2__)
TEST_CASE("gradient: flushing denormals to zero only makes denormals count as zero") {
  std::vector<float> x = normal(200, 12);
  for (std::size_t i = 0; i < x.size(); i += 9) x[i] = i % 2 == 0 ? 1e-40F : -1e-40F;
  std::vector<float> zeroed = x;
  for (std::size_t i = 0; i < x.size(); i += 9) zeroed[i] = 0;
  const std::vector<float> dy = normal(200, 13);
  const qparams p = params_for({}, granularity::per_tensor(), 1);
  struct results {
    std::vector<float> y = std::vector<float>(200), dx = std::vector<float>(200);
    std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(25);
    double scale = 0;
  };
  const auto run = [&](const std::vector<float>& data, unsigned mode) {
    results r;
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | mode);
    lutra::fake_quantize_with_mask(view(data.data(), {200}), p, out_view(r.y.data(), {200}),
                                   r.mask);
    r.scale = lutra::learnable_backward(view(data.data(), {200}), view(dy.data(), {200}), p,
                                        out_view(r.dx.data(), {200}))
                  .scale[0];
    _mm_setcsr(saved);
    return r;
  };
  const results expected = run(zeroed, 0);
  const results flushed = run(x, 0x8040U);
  CHECK(same_bits(flushed.y, expected.y));
  CHECK(same_bits(flushed.dx, expected.dx));
  CHECK(flushed.mask == expected.mask);
  CHECK(flushed.scale == expected.scale);
}
#endif

TEST_CASE("gradient: what does not fit is an error that says so") {
  const qparams p = params_for({}, granularity::per_tensor(), 1);
  std::vector<float> x(8);
  std::vector<std::uint8_t> mask(2);
  CHECK_ERROR(lutra::fake_quantize_with_mask(view(x.data(), {8}), p, out_view(x.data(), {8}), mask),
              shape_mismatch, "mask", "2 bytes", "1 for 8");
  CHECK_ERROR(lutra::straight_through(view(x.data(), {8}), mask, out_view(x.data(), {8})),
              shape_mismatch, "mask");
  CHECK_ERROR(lutra::learnable_backward(view(x.data(), {8}), view(x.data(), {7}), p,
                                        out_view(x.data(), {8})),
              shape_mismatch, "[7]", "[8]");
  lutra::straight_through(view(nullptr, {0}), {}, out_view(nullptr, {0}));
  const auto g = lutra::learnable_backward(view(nullptr, {0, 3}), view(nullptr, {0, 3}), p,
                                           out_view(nullptr, {0, 3}));
  CHECK(g.scale == std::vector<double>{0.0});
}

}  // namespace
