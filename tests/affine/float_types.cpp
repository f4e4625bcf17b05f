#include <lutra/affine/float_types.hpp>

#include "../errors.hpp"

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/observe/unit_range.hpp>

using namespace lutra;

namespace {

// Normal values, both zeros, subnormals, what saturates and what is not finite; each rounded to T.
template <class T> tensor<T> odd_values(const shape& extents) {
  tensor<T> x(extents);
  random_stream random(7);
  constexpr double inf = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const double special[] = {0.0, -0.0, 1e-40, -1e-7, 6e4, -1e30, inf, -inf, nan};
  for (index_t i = 0; i < x.size(); ++i) {
    const double v = i % 5 == 4 ? special[i / 5 % std::ssize(special)] : random.normal();
    if constexpr (std::same_as<T, double>) {
      x[i] = v;
    } else {
      x[i] = T(static_cast<float>(v));
    }
  }
  return x;
}
std::vector<qparams> some_params(const shape& extents) {
  std::vector<qparams> all;
  for (const granularity& g :
       {granularity::per_tensor(), granularity::per_channel(0), granularity::per_block(4, 1)}) {
    for (const quantization_spec& s :
         {quantization_spec{},
          quantization_spec{.dtype = dtype::int4, .qscheme = qscheme::asymmetric},
          quantization_spec{.dtype = dtype::uint8,
          .qscheme = qscheme::asymmetric,
          .qformulation = qformulation::minval},
          quantization_spec{.dtype = dtype::float8_e4m3fn},
          quantization_spec{.dtype = dtype::float4_e2m1fn}}) {
      quantization_spec spec = s;
      spec.granularity = g;
      const auto units = static_cast<std::size_t>(grid_of(g, extents, "test").count());
      std::vector<float> lo(units), hi(units);
      for (std::size_t u = 0; u < units; ++u) {
        lo[u] = -1.5F - 0.125F * static_cast<float>(u);
        hi[u] = 2.0F + 0.25F * static_cast<float>(u);
      }
      all.push_back(qparams_from_range(spec, lo, hi));
    }
  }
  return all;
}
// Bits, so that zeros differ by sign; any NaN is NaN.
template <class T> bool same(T a, T b) {
  const auto x = static_cast<double>(static_cast<float>(a));
  const auto y = static_cast<double>(static_cast<float>(b));
  return (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y));
}

template <class T> void check_all() {
  const shape extents{3, 20};
  const tensor<T> x = odd_values<T>(extents);
  std::vector<float> floats;
  for (index_t i = 0; i < x.size(); ++i) floats.push_back(static_cast<float>(x[i]));
  for (const qparams& p : some_params(extents)) {
    CAPTURE(name_of(p.dtype));
    const bool is_signed = info(p.dtype).integer && info(p.dtype).is_signed;
    tensor<T> fake(extents), back(extents);
    tensor<std::uint8_t> bytes(extents);
    tensor<std::int8_t> signed_bytes(extents);
    fake_quantize(view(x), p, view(fake));
    if (is_signed) {
      quantize(view(x), p, view(signed_bytes));
      dequantize(view(signed_bytes), p, view(back));
      for (index_t i = 0; i < x.size(); ++i) bytes[i] = static_cast<std::uint8_t>(signed_bytes[i]);
    } else {
      quantize(view(x), p, view(bytes));
      dequantize(view(bytes), p, view(back));
    }
    units_of(p, extents, "test").for_each_run([&](index_t first, index_t n, index_t at) {
      const unit_params u = unit_of(p, at);
      for (index_t i = first; i < first + n; ++i) {
        const float v = floats[static_cast<std::size_t>(i)];
        const int code = encode_one(v, u, quotient::exact);
        CHECK(bytes[i] == static_cast<std::uint8_t>(code));
        CHECK(same(back[i], static_cast<T>(decode_one(code, u))));
        CHECK(same(fake[i], static_cast<T>(fake_quantize_one(v, u, quotient::exact))));
      }
    });
  }
}

}  // namespace

TEST_CASE("float_types: elements are read as float, results rounded to their type") {
  check_all<half>();
  check_all<bfloat16>();
  check_all<double>();
}

TEST_CASE("float_types: in place, and strided") {
  const shape extents{4, 6};
  const tensor<bfloat16> x = odd_values<bfloat16>(extents);
  const qparams p = qparams_from_range({}, std::vector<float>{-1.0F}, std::vector<float>{2.0F});
  tensor<bfloat16> expected(extents), in_place = x, turned(shape{6, 4});
  fake_quantize(view(x), p, view(expected));
  fake_quantize(view(in_place), p, view(in_place));
  const index_t strides[] = {1, 4};
  const tensor_view<bfloat16> transposed(turned.data(), extents, strides);
  fake_quantize(view(x), p, transposed);
  for (index_t i = 0; i < x.size(); ++i) {
    CHECK(same(in_place[i], expected[i]));
    CHECK(same(transposed(i / 6, i % 6), expected[i]));
  }
}

TEST_CASE("float_types: doubles beyond float are infinite and saturate") {
  const tensor<double> x({2}, {1e300, -1e300});
  const qparams p = qparams_from_range({}, std::vector<float>{-1.0F}, std::vector<float>{1.0F});
  tensor<std::int8_t> codes({2});
  quantize(view(x), p, view(codes));
  CHECK(codes[0] == 127);
  CHECK(codes[1] == -128);
}

TEST_CASE("float_types: shapes and containers that do not fit are refused") {
  const tensor<half> x(shape{4});
  const qparams p = qparams_from_range({}, std::vector<float>{-1.0F}, std::vector<float>{1.0F});
  tensor<half> short_out(shape{3});
  tensor<std::uint8_t> wrong(shape{4});
  tensor<std::int8_t> codes(shape{4});
  CHECK_ERROR(fake_quantize(view(x), p, view(short_out)), shape_mismatch, "3");
  CHECK_ERROR(quantize(view(x), p, view(wrong)), invalid_argument, "uint8");
  CHECK_ERROR(dequantize(view(codes), p, view(short_out)), shape_mismatch, "3");
}
