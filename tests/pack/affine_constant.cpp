#include <doctest/doctest.h>
#include <lutra/core/random.hpp>
#include <lutra/pack/affine_constant.hpp>

#include <cstring>

#include "errors.hpp"

using namespace lutra;

namespace {
tensor<float> weight(const shape& extents, std::uint64_t seed) {
  random_stream random(seed);
  tensor<float> w(extents);
  for (float& x : w.elements()) x = static_cast<float>(random.normal());
  return w;
}
qparams parameters_of(const tensor<float>& w, const quantization_spec& spec) {
  const block_grid grid = grid_of(spec.granularity, w.extents(), "test", short_groups::allow);
  std::vector<float> lo(static_cast<std::size_t>(grid.count()), 0.0F), hi = lo;
  grid.for_each_run([&](index_t first, index_t length, index_t group) {
    const auto g = static_cast<std::size_t>(group);
    for (index_t i = first; i < first + length; ++i) {
      lo[g] = std::min(lo[g], w[i]);
      hi[g] = std::max(hi[g], w[i]);
    }
  });
  return qparams_from_range(spec, lo, hi);
}
bool same_bits(const tensor<float>& a, const tensor<float>& b) {
  return a.extents() == b.extents() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}
}  // namespace

TEST_CASE("affine_constant: every dtype, scheme and grouping comes back as fake_quantize has it") {
  const tensor<float> w = weight({6, 7, 5}, 1);
  int tried = 0;
  for (int d = 0; d < static_cast<int>(dtype::float8_e8m0fnu); ++d) {
    for (const qscheme scheme :
         {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
      for (const qformulation form : {qformulation::zp, qformulation::minval}) {
        for (const granularity& g :
             {granularity::per_tensor(), granularity::per_channel(0), granularity::per_channel(1),
              granularity::per_block(4, 1), granularity::per_grouped_channel(4, 0)}) {
          quantization_spec spec = int8_symmetric;
          spec.dtype = static_cast<dtype>(d);
          spec.qscheme = scheme;
          spec.qformulation = form;
          spec.granularity = g;
          if (!is_integer(spec.dtype) &&
              (scheme != qscheme::symmetric || form != qformulation::zp)) {
            continue;
          }
          if (spec.dtype == dtype::int1 && scheme == qscheme::symmetric_with_clipping) continue;
          const qparams q = parameters_of(w, spec);
          const affine_constant c = quantize_constant(lutra::view(w), q);
          tensor<float> expected(w.extents());
          fake_quantize(lutra::view(w), q, lutra::view(expected));
          CHECK(same_bits(restore(c), expected));
          CHECK(static_cast<index_t>(c.codes.size()) == (210 * bits_of(spec.dtype) + 7) / 8);
          CHECK(c.bytes() == static_cast<index_t>(c.codes.size()) + parameter_bytes(q));
          ++tried;
        }
      }
    }
  }
  CHECK(tried > 400);
}

TEST_CASE("affine_constant: strided weights, empty ones, scalars") {
  const tensor<float> w = weight({4, 6}, 2);
  const std::vector<index_t> strides{1, 6};
  const tensor_view<const float> turned(w.data(), shape{6, 4}, strides);
  quantization_spec spec = int8_symmetric;
  spec.granularity = granularity::per_channel(0);
  tensor<float> dense = tensor<float>::copy_of(turned);
  const qparams q = parameters_of(dense, spec);
  CHECK(quantize_constant(turned, q) == quantize_constant(lutra::view(dense), q));
  const tensor<float> none({0, 3});
  qparams empty = q;
  empty.scale.clear();
  empty.zero_point.clear();
  empty.minval.clear();
  CHECK(restore(quantize_constant(lutra::view(none), empty)).extents() == shape{0, 3});
  qparams one;
  one.scale = {0.5F};
  one.zero_point = {0};
  const tensor<float> scalar(shape{}, {3.2F});
  CHECK(restore(quantize_constant(lutra::view(scalar), one))[0] == 3.0F);
}

TEST_CASE("affine_constant: what cannot be one is refused") {
  const tensor<float> w = weight({3, 5}, 3);
  quantization_spec spec = int8_symmetric;
  spec.dtype = dtype::int3;
  spec.granularity = granularity::per_channel(0);
  const affine_constant good = quantize_constant(lutra::view(w), parameters_of(w, spec));
  CHECK_NOTHROW(check(good, "here"));
  affine_constant c = good;
  c.codes.pop_back();
  CHECK_ERROR(restore(c), corrupt_data, "wrong size of the code stream", "5", "6");
  c = good;
  c.codes.back() |= 0x80;
  CHECK_ERROR(restore(c), corrupt_data, "unused bits");
  c = good;
  c.parameters.scale.pop_back();
  c.parameters.zero_point.pop_back();
  CHECK_ERROR(restore(c), shape_mismatch, "qparams do not fit the tensor");
  c = good;
  c.parameters.minval = {0, 0, 0};
  CHECK_ERROR(restore(c), corrupt_data, "does not read", "minvals");
  c = good;
  c.parameters.scale[1] = -1;
  CHECK_ERROR(restore(c), invalid_argument, "scale out of range");
  CHECK_ERROR(quantize_constant(lutra::view(weight({4, 5}, 1)), good.parameters), shape_mismatch,
              "qparams do not fit");
}
