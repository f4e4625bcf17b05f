// With quotient::reciprocal, fake-quantization is torch's, bit for bit, wherever the quotient fits an int64:
// torch converts to one, so it gives quant_min for NaN and for quotients of 2^63 and more, of either sign.
#include <lutra/core/random.hpp>
#include <lutra/fake_quant/gradient.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "fake_quant/torch_golden.hpp"

namespace {

using namespace lutra;

constexpr index_t size = 1024;
constexpr float scales[] = {0.05F, static_cast<float>(1.0 / 3.0), 1.17e-5F, 0x1p-23F, 123.456F};

// The same numbers as torch_golden.py: ties and their neighbours, ordinary values, values on the grid, far
// too large ones.
float number(random_stream& r, float scale) {
  const auto whole = [&](std::uint64_t n) { return static_cast<float>(r.below(n)); };
  switch (r.below(4)) {
    case 0: {
      const float tie = whole(800) - 400.0F + 0.5F;
      const auto moved = static_cast<std::uint32_t>(r.below(5)) - 2U;
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(tie * scale) + moved);
    }
    case 1:
      return static_cast<float>(60.0 * r.normal()) * scale;
    case 2:
      return (whole(600) - 300.0F) * scale;
    default: {
      const float power = std::ldexp(1.0F, static_cast<int>(r.below(20)));
      return (r.below(2) == 0 ? power : -power) * scale;
    }
  }
}
template <class ScaleOf> std::vector<float> draw(std::uint64_t seed, ScaleOf&& scale_of) {
  random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(size));
  for (index_t i = 0; i < size; ++i) x[static_cast<std::size_t>(i)] = number(r, scale_of(i));
  return x;
}

// Whole multiples of the scale and up to three eighths more: torch's learnable backward rounds after adding the
// zero point, so at ties it contradicts torch's forward, which ours follows.
std::vector<float> draw_off_ties(std::uint64_t seed, float scale) {
  random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(size));
  for (float& v : x) {
    const float level = static_cast<float>(r.below(600)) - 300.0F;
    v = (level + static_cast<float>(r.below(4)) * 0.125F) * scale;
  }
  return x;
}

class hash {
 public:
  void add(std::uint64_t word) noexcept { value_ = (value_ ^ word) * 0x100000001b3ULL; }
  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};
std::uint64_t hash_of(const std::vector<float>& xs) {
  hash h;
  for (const float x : xs) h.add(std::bit_cast<std::uint32_t>(x));
  return h.value();
}
std::uint64_t hash_of_mask(const std::vector<std::uint8_t>& mask) {
  hash h;
  for (index_t i = 0; i < size; ++i) h.add(bit_at(mask, i) ? 1 : 0);
  return h.value();
}

qparams params_of(int quant_min, int quant_max) {
  qparams p;
  p.dtype = quant_max > 127 ? dtype::uint8
            : quant_min < 0 ? (quant_max > 7   ? dtype::int8
                               : quant_max > 1 ? dtype::int4
                                               : dtype::int2)
                            : dtype::uint4;
  p.quant_min = static_cast<float>(quant_min);
  p.quant_max = static_cast<float>(quant_max);
  return p;
}

// Forward with and without the mask, at one level.
template <class Level>
void check_forward(const std::vector<float>& x, const shape& extents, const qparams& p,
                   std::uint64_t forward, std::uint64_t mask) {
  std::vector<float> y(x.size());
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(mask_bytes(size)));
  const tensor_view<const float> in(x.data(), extents);
  const tensor_view<float> out(y.data(), extents);
  fake_quantize<Level>(in, p, out, quotient::reciprocal);
  CHECK(hash_of(y) == forward);
  std::fill(y.begin(), y.end(), 0.0F);
  fake_quantize_with_mask<Level>(in, p, out, bits, quotient::reciprocal);
  CHECK(hash_of(y) == forward);
  CHECK(hash_of_mask(bits) == mask);
}

TEST_CASE("torch: per tensor, forward and mask bit for bit, and the learnable gradients") {
  std::uint64_t seed = 0;
  for (const torch_per_tensor& t : torch_per_tensor_table) {
    CAPTURE(t.scale);
    CAPTURE(t.quant_min);
    CAPTURE(t.zero_point);
    const std::vector<float> x = draw(seed, [&](index_t) { return t.scale; });
    const std::vector<float> dy = draw(seed + 1000, [](index_t) { return 0.01F; });
    qparams p = params_of(t.quant_min, t.quant_max);
    p.granularity = granularity::per_tensor();
    p.scale = {t.scale};
    p.zero_point = {t.zero_point};
    check_forward<simd::native>(x, {size}, p, t.forward, t.mask);
    check_forward<simd::portable>(x, {size}, p, t.forward, t.mask);

    const std::vector<float> smooth = draw_off_ties(seed + 500, t.scale);
    std::vector<float> dx(smooth.size());
    const qparam_gradients g = learnable_backward({smooth.data(), {size}}, {dy.data(), {size}}, p,
                                                  {dx.data(), {size}}, 1.0, quotient::reciprocal);
    for (float& v : dx) v += 0.0F;  // torch's zeros have signs
    CHECK(hash_of(dx) == t.dx);
    // torch adds up floats: allow a few roundings of the sum of the magnitudes.
    double magnitude = 0;
    for (const float v : dy) magnitude += std::abs(static_cast<double>(v));
    const double bound = static_cast<double>(t.quant_max - t.quant_min);
    CHECK(std::abs(g.scale[0] - t.dscale) <= 1e-6 * bound * magnitude);
    CHECK(std::abs(g.offset[0] - t.dzero_point) <= 1e-6 * static_cast<double>(t.scale) * magnitude);
    ++seed;
  }
}

TEST_CASE("torch: per channel, on either axis, forward and mask bit for bit") {
  std::uint64_t seed = 2000;
  for (const torch_per_channel& t : torch_per_channel_table) {
    CAPTURE(t.axis);
    CAPTURE(t.quant_min);
    CAPTURE(t.zero_point);
    qparams p = params_of(t.quant_min, t.quant_max);
    p.granularity = granularity::per_channel(t.axis);
    const shape extents{8, 128};
    for (index_t c = 0; c < extents[t.axis]; ++c) {
      p.scale.push_back(scales[c % 5]);
      const int other = std::min(t.zero_point + 1, t.quant_max);
      p.zero_point.push_back(c % 3 != 0 ? t.zero_point : other);
    }
    const std::vector<float> x = draw(seed, [&](index_t i) {
      return p.scale[static_cast<std::size_t>(t.axis == 0 ? i / 128 : i % 128)];
    });
    check_forward<simd::native>(x, extents, p, t.forward, t.mask);
    check_forward<simd::portable>(x, extents, p, t.forward, t.mask);
    ++seed;
  }
}

}  // namespace
