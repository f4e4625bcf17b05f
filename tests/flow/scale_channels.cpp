#include <doctest/doctest.h>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/flow/scale_channels.hpp>

#include "errors.hpp"

using namespace lutra;

namespace {
tensor<float> numbers(const shape& extents, std::uint64_t seed) {
  random_stream random(seed);
  tensor<float> t(extents);
  for (float& x : t.elements()) x = static_cast<float>(random.normal());
  return t;
}
std::vector<double> doubles(index_t n, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<double> v;
  for (index_t i = 0; i < n; ++i) v.push_back(random.normal());
  return v;
}
}  // namespace

TEST_CASE("scale_channels: every element by the scale of its output channel, rounded once") {
  const auto at = [](const std::vector<double>& v, index_t i) {
    return v[static_cast<std::size_t>(i)];
  };
  const tensor<float> w = numbers({5, 3, 2, 2}, 1);
  const std::vector<double> scale = doubles(5, 2);
  const std::vector<double> shift = doubles(5, 3);
  const scaled_channels made = scale_channels(lutra::view(w), false, scale, shift);
  CHECK(made.broken == -1);
  for (index_t i = 0; i < w.size(); ++i) {
    CHECK(made.weight[i] == static_cast<float>(static_cast<double>(w[i]) * at(scale, i / 12)));
  }
  for (index_t c = 0; c < 5; ++c) CHECK(made.bias[c] == static_cast<float>(at(shift, c)));
  for (const index_t groups : {1, 2, 3, 6}) {  // transposed: 6 inputs, 2 outputs per group
    const tensor<float> t = numbers({6, 2, 3}, 4);
    const std::vector<double> s = doubles(2 * groups, 5);
    const scaled_channels m = scale_channels(lutra::view(t), true, s, s);
    CHECK(m.broken == -1);
    CHECK(m.bias.size() == 2 * groups);
    for (index_t in = 0; in < 6; ++in) {
      for (index_t k = 0; k < 6; ++k) {
        const index_t channel = in / (6 / groups) * 2 + k / 3;
        CHECK(m.weight[in * 6 + k] ==
              static_cast<float>(static_cast<double>(t[in * 6 + k]) * at(s, channel)));
      }
    }
  }
}

TEST_CASE("scale_channels: one scale and one shift per output channel, or an error") {
  const tensor<float> w({6, 4}, std::vector<float>(24, 1.0F));
  const auto refused = [&](bool transposed, std::size_t scales, std::size_t shifts) {
    const std::vector<double> scale(scales, 1.0), shift(shifts, 1.0);
    CHECK_ERROR(scale_channels(lutra::view(w), transposed, scale, shift), shape_mismatch,
                "per output channel", "[6, 4]");
  };
  refused(false, 5, 5);
  refused(false, 6, 5);
  refused(true, 6, 6);
  refused(true, 16, 16);  // 4 groups do not divide 6 inputs
  refused(true, 0, 0);
  const std::vector<double> one(12, 1.0);
  CHECK(scale_channels(lutra::view(w), true, one, one).bias.size() == 12);
}

TEST_CASE("scale_channels: a number that is not finite names its channel") {
  const tensor<float> w({3, 1}, {1.0F, 1e38F, 1.0F});
  const std::vector<double> one(3, 1.0);
  std::vector<double> large = one;
  CHECK(scale_channels(lutra::view(w), false, one, one).broken == -1);
  large[1] = 100;
  CHECK(scale_channels(lutra::view(w), false, large, one).broken == 1);
  large = one;
  large[2] = 1e39;
  CHECK(scale_channels(lutra::view(w), false, one, large).broken == 2);
  large[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK(scale_channels(lutra::view(w), false, one, large).broken == 2);
  const tensor<float> none({3, 0});  // a channel without weights
  CHECK(scale_channels(lutra::view(none), false, large, one).broken == 2);
  CHECK(scale_channels(lutra::view(none), false, one, one).weight.size() == 0);
  const tensor<float> nothing({0, 2});
  CHECK(scale_channels(lutra::view(nothing), true, {}, {}).bias.size() == 0);
}
