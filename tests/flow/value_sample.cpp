#include <lutra/flow/value_sample.hpp>

#include <cmath>
#include <limits>

#include "nets.hpp"

using namespace lutra;

namespace {
qparams parameters(std::vector<float> scale) {
  qparams q;
  q.zero_point.assign(scale.size(), 0);
  if (scale.size() > 1) q.granularity = granularity::per_channel(1);
  q.scale = std::move(scale);
  return q;
}
sampled_error exact(const tensor<float>& x, const qparams& q) {
  tensor<float> rounded(x.extents());
  fake_quantize(lutra::view(x), q, lutra::view(rounded));
  sampled_error sum;
  for (index_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]);
    const double d = v - static_cast<double>(rounded[i]);
    sum.signal += v * v;
    sum.error += d * d;
    ++sum.count;
  }
  return sum;
}
double decibels(const sampled_error& e) { return 10.0 * std::log10(e.signal / e.error); }
}  // namespace

TEST_CASE("value_sample: of few values all are kept") {
  const tensor<float> x = random_tensor({16, 16}, 1);
  value_sample s;
  CHECK(s.error_of(parameters({0.1F})).count == 0);
  CHECK(s.extents() == shape{0});
  s.add(lutra::view(x), granularity::per_tensor());
  const sampled_error made = s.error_of(parameters({0.1F}));
  const sampled_error wanted = exact(x, parameters({0.1F}));
  CHECK(made.count == 256);
  CHECK(made.signal == doctest::Approx(wanted.signal));
  CHECK(made.error == doctest::Approx(wanted.error));
  CHECK(s.extents() == x.extents());
}

TEST_CASE("value_sample: of many tensors it stays small, and its SQNR near the whole one") {
  value_sample s;
  sampled_error whole;
  const qparams q = parameters({0.05F});
  for (std::uint64_t i = 0; i < 100; ++i) {
    const tensor<float> x = random_tensor({37, 64}, i);
    s.add(lutra::view(x), granularity::per_tensor());
    const sampled_error e = exact(x, q);
    whole.signal += e.signal;
    whole.error += e.error;
  }
  const sampled_error made = s.error_of(q);
  CHECK(made.count <= 8 * 256);
  CHECK(made.count >= 4 * 256);
  CHECK(std::abs(decibels(made) - decibels(whole)) < 0.6);
}

TEST_CASE("value_sample: channels are measured with their own parameters, and all are met") {
  tensor<float> x = random_tensor({64, 8}, 3);
  for (index_t i = 0; i < x.size(); ++i) x[i] *= static_cast<float>(1 << (i % 8));
  std::vector<float> scale;
  for (int c = 0; c < 8; ++c) scale.push_back(0.05F * static_cast<float>(1 << c));
  const qparams q = parameters(scale);
  value_sample s;
  s.add(lutra::view(x), granularity::per_channel(1));
  const sampled_error made = s.error_of(q);
  CHECK(made.count == 256);  // of 512, whose rows are 8 long
  CHECK(std::abs(decibels(made) - decibels(exact(x, q))) < 1.0);
  // The largest channel has three quarters of the energy: it was not missed.
  CHECK(made.signal > 0.2 * exact(x, q).signal);
  CHECK(s.error_of(parameters({0.1F, 0.1F})).count == 0);  // another number of channels
}

TEST_CASE("value_sample: NaN and infinities, views that are not contiguous, blocks") {
  tensor<float> x = random_tensor({4, 6}, 4);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  x[5] = std::numeric_limits<float>::infinity();
  value_sample s;
  s.add(lutra::view(x), granularity::per_tensor());
  CHECK(s.error_of(parameters({0.1F})).count == 22);

  const tensor<float> y = random_tensor({6, 4}, 5);
  const index_t strides[] = {1, 4};
  const tensor_view<const float> turned(y.data(), shape{4, 6}, strides);
  value_sample t;
  t.add(turned, granularity::per_channel(1));
  qparams q = parameters({0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F});
  const tensor<float> copy = tensor<float>::copy_of(turned);
  CHECK(t.error_of(q).error == doctest::Approx(exact(copy, q).error));

  value_sample blocks;
  blocks.add(lutra::view(x), granularity::per_block(2, 1));
  blocks.add(tensor_view<const float>(), granularity::per_tensor());
  CHECK(blocks.error_of(parameters({0.1F})).count == 0);
  CHECK(blocks.extents() == x.extents());
}
