#include <doctest/doctest.h>

#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include "runtime/palettes.hpp"

using namespace lutra;

#if !LUTRA_PORTABLE && LUTRA_AMX_INT8

namespace {

// Whether f(out) writes to a tensor with channels last, `behind` elements between pixels, what it writes to a dense
// one, and nothing around it.
template <class Out, class F> bool same(const shape& s, index_t behind, F&& f) {
  tensor<Out> expected(s);
  f(view(expected));
  const index_t pixel = s[1] + behind;
  const std::array<index_t, 4> last{s[2] * s[3] * pixel, 1, s[3] * pixel, pixel};
  test::fenced<Out> memory(s[0] * last[0] - behind, 3);
  const tensor_view<Out> out(memory.data(), s, last);
  f(out);
  return memory.intact() && tensor<Out>::copy_of(out) == expected;
}

template <class X> bool outputs_agree(random_stream& r, const shape& weight, index_t groups) {
  const auto p = test::random_palette(r, weight, {.group_rows = test::pick(r, 0, 5)});
  const lut_matrix m = make_lut_matrix(p, simd::amx_int8{});
  REQUIRE(m.has_line_tiles());
  const auto x = test::random_tensor<X>(
      r, shape{2, weight[1] * groups, test::pick(r, 3, 9), test::pick(r, 3, 40)});
  const conv2d_options o{.window = window2d::symmetric({1, test::pick(r, 1, 2)}, {1, 1}),
                         .groups = groups,
                         .padding_value = 3};
  const shape s{2, weight[0], output_extent(o.window, 0, x.extent(2), weight[2]),
                output_extent(o.window, 1, x.extent(3), weight[3])};
  requantize e{.multiplier = {}, .bias = {}, .zero_point = 5, .lo = -90};
  for (index_t i = 0; i < weight[0]; ++i) {
    e.multiplier.push_back(static_cast<float>(r.uniform() * 1e-3 + 1e-5));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  if (r.below(2) == 0) e.rest.clear();
  requantize u = e;  // the same as uint8
  u.zero_point += 128;
  u.lo += 128;
  u.hi += 128;
  const dequantize_rows f{e.multiplier, e.bias, e.rest};
  const activation_scale scale{.scale = 0.25F, .zero_point = 3};
  const float_output biased{.bias = e.multiplier};
  const index_t behind = test::pick(r, 0, 3);
  bool good = same<std::int32_t>(s, behind,
                                 [&](const auto& out) { conv2d(m, x, o, out, simd::amx_int8{}); });
  good = same<std::int8_t>(s, behind,
                           [&](const auto& out) { conv2d(m, x, o, e, out, simd::amx_int8{}); }) &&
         good;
  good = same<std::uint8_t>(s, behind,
                            [&](const auto& out) { conv2d(m, x, o, u, out, simd::amx_int8{}); }) &&
         good;
  good =
      same<float>(s, behind, [&](const auto& out) { conv2d(m, x, o, f, out, simd::amx_int8{}); }) &&
      good;
  return same<float>(s, behind,
                     [&](const auto& out) {
                       conv2d_scaled(m, x, o, scale, biased, out, simd::amx_int8{});
                     }) &&
         good;
}

}  // namespace

TEST_CASE("conv::line_worker: outputs with channels last are those of dense ones") {
  random_stream r(1);
  bool good = true;
  for (const index_t channels : {16, 32, 48, 80, 40}) {  // of 40 channels a strip is not whole
    for (const index_t groups : {1, 2}) {
      const shape weight{channels * groups, 64, 3, 3};
      good = outputs_agree<std::int8_t>(r, weight, groups) && good;
      good = outputs_agree<std::uint8_t>(r, weight, groups) && good;
    }
  }
  CHECK(good);
}

#endif
