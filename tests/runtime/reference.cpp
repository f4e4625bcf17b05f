#include <doctest/doctest.h>

#include <lutra/runtime/reference.hpp>

#include "runtime/palettes.hpp"

using namespace lutra;

TEST_CASE("reference: codes are read as pack_bits wrote them") {
  random_stream r(1);
  for (int bits = 1; bits <= 8; ++bits) {
    std::vector<std::uint8_t> codes(37);
    for (auto& c : codes) c = static_cast<std::uint8_t>(r.below(1U << bits));
    std::vector<std::uint8_t> stream(static_cast<std::size_t>(packed_bytes(37, bits)));
    pack_bits(codes, bits, stream);
    for (index_t i = 0; i < 37; ++i) {
      CHECK(reference::code_at(stream, bits, i) == codes[static_cast<std::size_t>(i)]);
    }
  }
}

TEST_CASE("reference: integer weights of a small palette") {
  packed_palette p;
  p.weight_shape = shape{3, 2};
  p.block = shape{2, 2};  // rows 0-1, then row 2 alone
  p.n_bits = 1;
  p.codes = {0b00'10'01'11};  // row 0: 1 1, row 1: 1 0, row 2: 0 1
  p.lut_codes = {5, 0xfd, 7, 0x80};
  p.zero_point = {0, 10};
  CHECK(reference::integer_weights(p).elements() ==
        std::vector<std::int32_t>{-3, -3, -3, 5, -3, -138});
  p.lut_dtype = dtype::uint8;
  CHECK(reference::integer_weights(p)[0] == 253);
}

TEST_CASE("reference: a product and a convolution worked out by hand") {
  const tensor<std::int32_t> w(shape{2, 2}, {1, -2, 3, 4});
  const tensor<std::int8_t> x(shape{1, 2}, {5, -6});
  tensor<std::int32_t> y(shape{1, 2});
  reference::gemm<std::int8_t>(view(w), view(x), view(y));
  CHECK(y.elements() == std::vector<std::int32_t>{17, -9});
  const tensor<std::int8_t> image(shape{1, 1, 2, 2}, {1, 2, 3, 4});
  tensor<std::int32_t> out(shape{1, 1, 3, 3});
  reference::conv2d<std::int8_t>({w.data(), shape{1, 1, 2, 2}}, view(image),
                                 window2d::symmetric({1, 1}, {1, 1}), 1, 10, view(out));
  // The padded image: 10 10 10 10 / 10 1 2 10 / 10 3 4 10 / 10 10 10 10.
  CHECK(out.elements() == std::vector<std::int32_t>{10 - 20 + 30 + 4, 10 - 20 + 3 + 8, -10 + 6 + 40,
                                                    10 - 2 + 30 + 12, 1 - 4 + 9 + 16,
                                                    2 - 20 + 12 + 40, 10 - 6 + 70, 3 - 8 + 70,
                                                    4 - 20 + 70});
}

TEST_CASE("reference: requantization rounds halves to even and saturates") {
  const auto q = [](std::int32_t acc, float m) {
    return reference::requantize(acc, 0, m, 0, -128, 127);
  };
  CHECK(q(1, 0.5F) == 0);
  CHECK(q(3, 0.5F) == 2);
  CHECK(q(5, 0.5F) == 2);
  CHECK(q(-1, 0.5F) == 0);
  CHECK(q(-3, 0.5F) == -2);
  CHECK(q(2147483647, 1e30F) == 127);
  CHECK(q(-2147483647 - 1, 1e30F) == -128);
  CHECK(reference::requantize(10, -4, 1.0F, 3, 0, 8) == 8);
  CHECK(reference::requantize(10, -4, 2.0F, 3, -128, 127, 0.25F) == 15);  // 12.5 + 3: to even
  CHECK(reference::requantize(10, -4, 2.0F, 3, -128, 127, 0.375F) == 16);
  CHECK(reference::dequantize(16777217, -16777216, 3.0F, -0.25F) == 2.25F);
  CHECK(reference::wrapping_add(2147483647, 1) == -2147483647 - 1);
  CHECK(reference::dequantize(16777217, 0, 1.0F) == 16777216.0F);  // float() rounds to even
}

TEST_CASE("reference: pooling windows that leave the image") {
  const tensor<std::int8_t> x(shape{1, 1, 2, 2}, {-5, 7, 3, -1});
  const window2d w = window2d::symmetric({1, 1}, {1, 1});
  CHECK(reference::max_pool(view(x), 0, 0, {2, 2}, w, 0, 0) == -5);
  CHECK(reference::max_pool(view(x), 0, 0, {2, 2}, w, 1, 1) == 7);
  CHECK(reference::mean_pool(view(x), 0, 0, {2, 2}, w, 0, 1, false, 0, 1.0F, 0) == 1);
  CHECK(reference::mean_pool(view(x), 0, 0, {2, 2}, w, 0, 1, true, 0, 2.0F, 0) == 1);
  CHECK(reference::mean_pool(view(x), 0, 0, {2, 2}, w, 0, 0, true, 3, 1.0F, 5) == 3);
}
