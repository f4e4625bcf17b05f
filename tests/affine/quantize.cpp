#include <lutra/affine/quantize.hpp>

#include "../errors.hpp"
#include "quick.hpp"

#include <cmath>
#include <cstdlib>
#include <lutra/tensor/tensor.hpp>

#include "cases.hpp"
#include "levels.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace lutra;

namespace {

// What element.hpp says about every element.
struct expectation {
  std::vector<float> fake;
  std::vector<std::uint8_t> codes;
  std::vector<float> back;
};
expectation expected(const std::vector<float>& x, const qparams& p, const block_grid& units,
                     quotient q) {
  expectation e{std::vector<float>(x.size()), std::vector<std::uint8_t>(x.size()),
                std::vector<float>(x.size())};
  units.for_each_run([&](index_t first, index_t n, index_t at) {
    const unit_params u = unit_of(p, at);
    for (index_t k = first; k < first + n; ++k) {
      const auto i = static_cast<std::size_t>(k);
      e.fake[i] = fake_quantize_one(x[i], u, q);
      const int code = encode_one(x[i], u, q);
      e.codes[i] = static_cast<std::uint8_t>(code);
      e.back[i] = decode_one(code, u);
    }
  });
  return e;
}

bool is_signed(const qparams& p) { return is_integer(p.dtype) && info(p.dtype).is_signed; }
template <class Level>
void quantize_bytes(const tensor_view<const float>& x, const qparams& p, std::uint8_t* out,
                    quotient q) {
  if (is_signed(p)) {
    quantize<Level>(x, p,
                    tensor_view<std::int8_t>(reinterpret_cast<std::int8_t*>(out), x.extents()), q);
  } else {
    quantize<Level>(x, p, tensor_view<std::uint8_t>(out, x.extents()), q);
  }
}
template <class Level>
void dequantize_bytes(const std::uint8_t* q, const qparams& p, const tensor_view<float>& out) {
  if (is_signed(p)) {
    dequantize<Level>(
        tensor_view<const std::int8_t>(reinterpret_cast<const std::int8_t*>(q), out.extents()), p,
        out);
  } else {
    dequantize<Level>(tensor_view<const std::uint8_t>(q, out.extents()), p, out);
  }
}

// Compares all three functions at every level and at misaligned addresses with element.hpp.
void check_all_levels(const quantization_spec& s, const shape& extents, random_stream& random) {
  const qparams p = cases::params(s, extents, random);
  const block_grid units = grid_of(s.granularity, extents, "test");
  const std::vector<float> x = cases::inputs(p, units, random);
  const std::size_t n = x.size();
  for (const quotient q : {quotient::exact, quotient::reciprocal}) {
    const expectation want = expected(x, p, units, q);
    for_each_level([&](auto level) {
      using Level = decltype(level);
      INFO(cases::name(s), ", shape ", text_of(extents), ", level ", std::string(Level::name));
      const std::size_t shift = random.below(4);
      std::vector<float> in(n + 8), out(n + 8, 77.0F), back(n + 8, 77.0F);
      std::vector<std::uint8_t> codes(n + 8, 77);
      std::copy(x.begin(), x.end(), in.begin() + static_cast<std::ptrdiff_t>(shift));
      const tensor_view<const float> from(in.data() + shift, extents);
      fake_quantize<Level>(from, p, {out.data() + shift, extents}, q);
      quantize_bytes<Level>(from, p, codes.data() + shift, q);
      dequantize_bytes<Level>(codes.data() + shift, p, {back.data() + shift, extents});
      const auto middle = [&](const auto& v) {
        const auto first = v.begin() + static_cast<std::ptrdiff_t>(shift);
        return std::vector(first, first + static_cast<std::ptrdiff_t>(n));
      };
      CHECK(cases::same_bits(middle(out), want.fake));
      CHECK(middle(codes) == want.codes);
      CHECK(cases::same_bits(middle(back), want.back));
      for (std::size_t i = 0; i < n + 8; ++i) {  // nothing is written outside
        if (i >= shift && i < shift + n) continue;
        CHECK((out[i] == 77.0F && back[i] == 77.0F && codes[i] == 77));
      }
      fake_quantize<Level>(from, p, {in.data() + shift, extents}, q);  // in place
      CHECK(cases::same_bits(middle(in), want.fake));
    });
  }
}

}  // namespace

TEST_CASE("quantize: every length, dtype and level gives the bits of element.hpp") {
  random_stream random(31);
  const index_t longest =
      test::quick() ? 20 : 133;  // two registers of four AVX-512 words and a tail
  for (const quantization_spec& s : cases::specs()) {
    for (index_t n = 0; n <= longest; ++n) check_all_levels(s, {n}, random);
  }
}

TEST_CASE("quantize: every granularity gives the bits of element.hpp") {
  random_stream random(32);
  const std::vector<std::pair<granularity, shape>> layouts = {
      {granularity::per_channel(0), {5, 37}},
      {granularity::per_channel(0), {3, 100}},
      {granularity::per_channel(1), {9, 37}},
      {granularity::per_channel(-1), {4, 3, 65}},
      {granularity::per_channel(1), {7, 3}},
      {granularity::per_channel(1), {2, 5, 7}},
      {granularity::per_channel(0), {70}},
      {granularity::per_block(4, 1), {3, 24}},
      {granularity::per_block(32, 1), {2, 96, 1}},
      {granularity::per_block(2, 0), {6, 11}},
      {granularity::per_block({2, 2}), {4, 6}},
      {granularity::per_block({1, 2, -1}), {3, 4, 5}},
      {granularity::per_block({-1, 3, 1}), {2, 6, 4}},
      {granularity::per_grouped_channel(2, 0), {6, 9}},
      {granularity::per_block(16, 1), {3, 48}},
      {granularity::per_block(48, 1), {2, 96}},
      {granularity::per_channel(1), {2, 4500}},
      {granularity::per_block(64, 1), {2, 4480}},
      {granularity::per_tensor(), {2, 3, 4, 5}},
      {granularity::per_tensor(), shape{}}};
  for (quantization_spec s : cases::specs()) {
    for (const auto& [g, extents] : layouts) {
      if (test::quick() && random.below(5) != 0) continue;
      s.granularity = g;
      check_all_levels(s, extents, random);
    }
  }
}

#if defined(__SSE2__)
TEST_CASE("quantize: under flush-to-zero subnormal inputs count as zero and nothing else changes") {
  random_stream random(36);
  const unsigned saved = _mm_getcsr();
  for (quantization_spec s : cases::specs()) {
    s.granularity = granularity::per_channel(0);
    const shape extents{6, 50};
    const qparams p = cases::params(s, extents, random);
    const block_grid units = grid_of(s.granularity, extents, "test");
    std::vector<float> x = cases::inputs(p, units, random);
    std::vector<float> flushed = x;
    for (float& e : flushed) {
      if (std::fpclassify(e) == FP_SUBNORMAL) e = std::copysign(0.0F, e);
    }
    const expectation want = expected(flushed, p, units, quotient::exact);
    for_each_level([&](auto level) {
      INFO(cases::name(s), ", level ", std::string(decltype(level)::name));
      std::vector<float> out(x.size());
      std::vector<std::uint8_t> codes(x.size());
      _mm_setcsr(saved | 0x8040U);
      fake_quantize<decltype(level)>({x.data(), extents}, p, {out.data(), extents});
      quantize_bytes<decltype(level)>({x.data(), extents}, p, codes.data(), quotient::exact);
      _mm_setcsr(saved);
      CHECK(cases::same_bits(out, want.fake));
      CHECK(codes == want.codes);
    });
  }
}
#endif

TEST_CASE("quantize: large outputs are written around the caches with the same bits") {
  random_stream random(33);
  const index_t threshold = simd::stream_threshold();
  simd::set_stream_threshold(index_t{1} << 14);
  const index_t n = (index_t{1} << 14) + 21;
  const std::vector<std::pair<granularity, shape>> layouts = {
      {granularity::per_channel(0), {1, n}},       {granularity::per_channel(0), {257, n / 257}},
      {granularity::per_channel(1), {5, 4160}},  // rows in pairs
      {granularity::per_channel(1), {150, 128}},   {granularity::per_channel(1), {1640, 10}},
      {granularity::per_block(32, 1), {7, 2400}},  {granularity::per_block(64, 1), {4, 4096}},
      {granularity::per_block(128, 1), {16, 1024}}};
  for (const quantization_spec& spec :
       {quantization_spec{}, quantization_spec{.qscheme = qscheme::asymmetric},
        quantization_spec{.qscheme = qscheme::asymmetric, .qformulation = qformulation::minval},
        quantization_spec{.dtype = dtype::float8_e4m3fn}}) {
    for (const auto& layout : layouts) {
      const shape& extents = layout.second;
      quantization_spec s = spec;
      s.granularity = layout.first;
      INFO(cases::name(s), ", shape ", text_of(extents));
      const qparams p = cases::params(s, extents, random);
      const block_grid units = grid_of(s.granularity, extents, "test");
      const std::vector<float> x = cases::inputs(p, units, random);
      const expectation want = expected(x, p, units, quotient::exact);
      for (const std::size_t shift : {0U, 1U, 3U}) {
        std::vector<float> out(x.size() + 24, 77.0F);
        std::vector<std::uint8_t> codes(x.size() + 80, 77);
        std::size_t at = shift;  // from a cache line on
        while (reinterpret_cast<std::uintptr_t>(out.data() + at - shift) % 64 != 0) ++at;
        const auto outside = [&](const auto& v) {
          return v[x.size() + at] == 77 && (at == 0 || v[at - 1] == 77);
        };
        for_each_level([&](auto level) {
          using Level = decltype(level);
          std::fill(out.begin(), out.end(), 77.0F);
          fake_quantize<Level>({x.data(), extents}, p, {out.data() + at, extents});
          CHECK(cases::same_bits({out.data() + at, out.data() + at + x.size()}, want.fake));
          CHECK(outside(out));
        });
        dequantize_bytes<simd::native>(want.codes.data(), p, {out.data() + at, extents});
        CHECK(std::memcmp(out.data() + at, want.back.data(), 4 * x.size()) == 0);
        CHECK(outside(out));
        at = shift;
        while (reinterpret_cast<std::uintptr_t>(codes.data() + at - shift) % 64 != 0) ++at;
        quantize_bytes<simd::native>({x.data(), extents}, p, codes.data() + at, quotient::exact);
        CHECK(std::memcmp(codes.data() + at, want.codes.data(), x.size()) == 0);
        CHECK(outside(codes));
      }
    }
  }
  simd::set_stream_threshold(threshold);
}

TEST_CASE(
    "quantize: float bounds that leave zero out give their own sign, not that of the element") {
  const shape extents{131};
  std::vector<float> x(131);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i) - 65) / 8;
  x[3] = -0.0F;
  x[4] = std::numeric_limits<float>::denorm_min();
  x[5] = -x[4];
  for (const dtype d : {dtype::float8_e4m3fn, dtype::float8_e5m2, dtype::float4_e2m1fn}) {
    for (const auto& bounds :
         {std::pair{-6.0F, -1.0F}, {0.5F, 4.0F}, {0.0F, 6.0F}, {-6.0F, -0.0F}}) {
      for (const float scale : {0.75F, 2.0F, 0x1p60F}) {
        const qparams p{d,
                        qformulation::zp,
                        bounds.first,
                        bounds.second,
                        granularity::per_tensor(),
                        {scale},
                        {},
                        {}};
        const unit_params u = unit_of(p, 0);
        for (const quotient q : {quotient::exact, quotient::reciprocal}) {
          for_each_level([&](auto level) {
            using Level = decltype(level);
            INFO(std::string(name_of(d)), ", ", bounds.first, "..", bounds.second, ", level ",
                 std::string(Level::name));
            std::vector<float> out(x.size());
            std::vector<std::uint8_t> codes(x.size());
            fake_quantize<Level>({x.data(), extents}, p, {out.data(), extents}, q);
            quantize_bytes<Level>({x.data(), extents}, p, codes.data(), q);
            for (std::size_t i = 0; i < x.size(); ++i) {
              CHECK(std::bit_cast<std::uint32_t>(out[i]) ==
                    std::bit_cast<std::uint32_t>(fake_quantize_one(x[i], u, q)));
              CHECK(codes[i] == encode_one(x[i], u, q));
            }
          });
        }
      }
    }
  }
}

TEST_CASE("quantize: strided views, negative and zero strides included") {
  random_stream random(34);
  const shape extents{6, 9};
  for (quantization_spec s : cases::specs()) {
    s.granularity = granularity::per_channel(1);
    const qparams p = cases::params(s, extents, random);
    const block_grid units = grid_of(s.granularity, extents, "test");
    const std::vector<float> x = cases::inputs(p, units, random);
    // The same elements column by column, rows from the last to the first.
    std::vector<float> stored(x.size());
    const std::vector<index_t> strides = {-1, 6};
    const tensor_view<float> turned(stored.data() + 5, extents, strides);
    std::size_t next = 0;
    for_each_element(turned, [&](float& e) { e = x[next++]; });
    const expectation want = expected(x, p, units, quotient::exact);
    std::vector<float> out(x.size());
    const tensor_view<float> out_turned(out.data() + 5, extents, strides);
    fake_quantize(turned, p, out_turned);
    CHECK(cases::same_bits(to_vector<float>(out_turned), want.fake));
    std::vector<float> dense(x.size());
    fake_quantize(turned, p, {dense.data(), extents});
    CHECK(cases::same_bits(dense, want.fake));
    fake_quantize(turned, p, turned);  // in place
    CHECK(cases::same_bits(to_vector<float>(turned), want.fake));
    std::vector<std::uint8_t> codes(x.size());
    if (!is_signed(p)) {
      quantize({x.data(), extents}, p,
               tensor_view<std::uint8_t>(codes.data() + 5, extents, strides));
      const tensor_view<const std::uint8_t> view_of_codes(codes.data() + 5, extents, strides);
      CHECK(to_vector<std::uint8_t>(view_of_codes) == want.codes);
      dequantize(view_of_codes, p, out_turned);
      CHECK(cases::same_bits(to_vector<float>(out_turned), want.back));
    }
  }
  const float one = 1.0F;
  const std::vector<index_t> none = {0};
  std::vector<float> out(5);
  qparams p;
  p.scale = {0.3F};
  p.zero_point = {0};
  fake_quantize(tensor_view<const float>(&one, {5}, none), p, {out.data(), {5}});
  CHECK(out == std::vector<float>(5, 3.0F * 0.3F));
}

TEST_CASE("quantize: round trip stays within half a step, minval within a step of zp") {
  random_stream random(35);
  for (quantization_spec s : cases::specs()) {
    if (!is_integer(s.dtype)) continue;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> x(200);
      for (float& e : x) e = static_cast<float>(random.normal());
      const auto [lo, hi] = std::minmax_element(x.begin(), x.end());
      s.qformulation = qformulation::zp;
      const qparams zp = qparams_from_range(s, {&*lo, 1}, {&*hi, 1});
      s.qformulation = qformulation::minval;
      const qparams minval = qparams_from_range(s, {&*lo, 1}, {&*hi, 1});
      REQUIRE(zp.scale == minval.scale);
      std::vector<float> a(x.size()), b(x.size());
      fake_quantize(view(std::as_const(x)), zp, view(a));
      fake_quantize(view(std::as_const(x)), minval, view(b));
      for (std::size_t k = 0; k < x.size(); ++k) {
        const float t = unclamped_one(x[k], unit_of(zp, 0), quotient::exact);
        if (t >= zp.quant_min && t <= zp.quant_max) {
          CHECK(std::fabs(x[k] - a[k]) <= zp.scale[0] / 2 + 1e-5F);
          CHECK(std::fabs(a[k] - b[k]) <= zp.scale[0] + 1e-5F);
        }
      }
      const float zero = 0;
      float image = 1;
      fake_quantize({&zero, shape{}}, zp, {&image, shape{}});
      CHECK(image == 0.0F);
      CHECK_FALSE(std::signbit(image));
    }
  }
}

TEST_CASE("quantize: per-tensor parameters fit any shape, others only theirs") {
  qparams p;
  p.scale = {1.0F};
  p.zero_point = {0};
  const tensor<float> x(shape{2, 2, 2}, {0.4F, 0.6F, 1.5F, 2.5F, -0.4F, -0.6F, -1.5F, -300});
  tensor<std::int8_t> q(x.extents());
  quantize(view(x), p, view(q));
  CHECK(q.elements() == std::vector<std::int8_t>{0, 1, 2, 2, 0, -1, -2, -128});
  const tensor<float> empty(shape{0, 3});
  tensor<std::int8_t> none(empty.extents());
  quantize(view(empty), p, view(none));
  CHECK(none.size() == 0);
  p.granularity = granularity::per_channel(0);
  p.scale = {1.0F, 2.0F, 3.0F};
  p.zero_point = {0, 0, 0};
  CHECK_ERROR(quantize(view(x), p, view(q)), shape_mismatch, "do not fit", "3 scales",
              "2 for shape [2, 2, 2]");
}

TEST_CASE("quantize: misuse is refused before anything is written") {
  qparams p;
  p.scale = {1.0F};
  p.zero_point = {0};
  const std::vector<float> x = {1, 2, 3};
  std::vector<std::int8_t> q(3, 9);
  std::vector<std::uint8_t> u(3, 9);
  std::vector<float> out(4, 9);
  CHECK_ERROR(quantize(view(x), p, view(u)), invalid_argument, "container", "uint8",
              "int8 for int8");
  CHECK_ERROR(fake_quantize(view(x), p, view(out)), shape_mismatch, "shapes differ", "[4]", "[3]");
  CHECK_ERROR(dequantize(view(std::as_const(q)), p, view(out)), shape_mismatch, "shapes differ");
  p.scale = {0.0F};
  CHECK_ERROR(quantize(view(x), p, view(q)), invalid_argument, "scale", "0");
  p.scale.clear();
  p.zero_point.clear();
  CHECK_ERROR(quantize(view(x), p, view(q)), shape_mismatch, "do not fit", "0 scales");
  CHECK(q == std::vector<std::int8_t>(3, 9));
}
