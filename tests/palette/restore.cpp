#include <lutra/core/random.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <string>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "palette/normal_weight.hpp"

namespace {

using lutra::dtype;
using lutra::index_t;

// Element by element from the formula at the head of packed.hpp.
std::vector<float> by_definition(const lutra::packed_palette& p) {
  std::vector<float> out;
  const auto grid = p.groups();
  const auto grid_strides = lutra::row_major_strides(grid.grid());
  const lutra::shape& s = p.weight_shape;
  for (index_t flat = 0; flat < s.size(); ++flat) {
    std::size_t code = 0;
    for (int b = 0; b < p.n_bits; ++b) {
      const auto bit = static_cast<std::size_t>(flat * p.n_bits + b);
      code |= static_cast<std::size_t>(p.codes[bit / 8] >> bit % 8 & 1) << b;
    }
    index_t rest = flat;
    index_t group = 0;
    index_t row = 0;
    for (int axis = s.rank() - 1; axis >= 0; --axis) {
      group += rest % s[axis] / p.block[axis] * grid_strides[static_cast<std::size_t>(axis)];
      row = rest % s[axis];
      rest /= s[axis];
    }
    const auto g = static_cast<std::size_t>(group);
    const std::size_t at = g * static_cast<std::size_t>(p.entries()) + code;
    float x = 0;
    if (!p.quantized()) {
      x = p.lut[at];
    } else if (p.lut_dtype == dtype::int8) {
      x = static_cast<float>(static_cast<std::int8_t>(p.lut_codes[at]) - p.zero_point[g]) *
          p.scale[g];
    } else {
      x = static_cast<float>(p.lut_codes[at] - p.zero_point[g]) * p.scale[g];
    }
    out.push_back(p.row_scale.empty() ? x : x * p.row_scale[static_cast<std::size_t>(row)]);
  }
  return out;
}

TEST_CASE("restore: every rank, grouping and table type follows the formula") {
  const std::vector<lutra::shape> shapes = {{}, {13}, {6, 10}, {4, 6, 5}, {6, 4, 3, 3}};
  for (const lutra::shape& s : shapes) {
    for (int axis = -1; axis < s.rank(); ++axis) {
      for (const bool scaled : {false, true}) {
        if (scaled && s.rank() == 0) continue;
        for (const lutra::quantization_spec& q :
             {lutra::quantization_spec(lutra::off), lutra::int8_symmetric_with_clipping,
              lutra::quantization_spec{.dtype = dtype::int8, .qscheme = lutra::qscheme::asymmetric},
              lutra::quantization_spec{.dtype = dtype::uint8}}) {
          const auto p = lutra::palettize(
              test::normal_weight(s, 5),
              {.n_bits = 3,
               .lut_qspec = q,
               .granularity = axis < 0 ? lutra::granularity::per_tensor()
                                       : lutra::granularity::per_grouped_channel(4, axis),
               .enable_per_channel_scale = scaled});
          const auto packed = lutra::pack(p);
          const auto dense = lutra::restore(packed);
          CHECK(dense.extents() == s);
          CHECK(dense.elements() == by_definition(packed));
          CHECK(lutra::restore(p) == dense);
        }
      }
    }
  }
}

template <class T> bool same_bits(const lutra::tensor<T>& x, const std::vector<float>& expected) {
  bool same = static_cast<std::size_t>(x.size()) == expected.size();
  for (std::size_t i = 0; same && i < expected.size(); ++i) {
    const T e(expected[i]);
    same = std::memcmp(&x.elements()[i], &e, sizeof(T)) == 0;
  }
  return same;
}

TEST_CASE(
    "restore: float, half and bfloat16 of every width and level have the bits of the formula") {
  for (int bits = 1; bits <= 8; ++bits) {
    for (const lutra::shape& s :
         {lutra::shape{3, 700}, lutra::shape{37, 11}, lutra::shape{5, 3, 50}}) {
      for (const bool grouped : {false, true}) {
        for (const bool scaled : {false, true}) {
          const auto p = lutra::palettize(
              test::normal_weight(s, 5),
              {.n_bits = bits,
               .lut_qspec = lutra::int8_symmetric_with_clipping,
               .granularity = grouped ? lutra::granularity::per_grouped_channel(45, 1)
                                      : lutra::granularity::per_tensor(),
               .enable_per_channel_scale = scaled});
          const auto packed = lutra::pack(p);
          const auto expected = by_definition(packed);
          for_each_kernel_level([&](auto level) {
            using A = decltype(level);
            const std::string name(A::name);
            CAPTURE(name);
            CAPTURE(bits);
            CAPTURE(s[0]);
            CHECK(same_bits(lutra::restore<float, A>(packed), expected));
            CHECK(same_bits(lutra::restore<lutra::half, A>(packed), expected));
            CHECK(same_bits(lutra::restore<lutra::bfloat16, A>(packed), expected));
            // Codes of the table.
            const auto codes = lutra::restore<std::int8_t, A>(packed);
            for (index_t i = 0; i < codes.size(); ++i) {
              const auto flat = static_cast<std::size_t>(i);
              const index_t group = grouped ? i / s.product(2, s.rank()) % s[1] / 45 : 0;
              const auto at = static_cast<std::size_t>((group << bits) + p.codes[flat]);
              REQUIRE(codes[i] == static_cast<std::int8_t>(packed.lut_codes[at]));
            }
          });
        }
      }
    }
  }
}

TEST_CASE("restore: around the caches gives the same") {
  const auto packed =
      lutra::pack(lutra::palettize(test::normal_weight({37, 111}, 3), {.n_bits = 4}));
  const auto expected = lutra::restore(packed);
  const index_t threshold = lutra::simd::stream_threshold();
  lutra::simd::set_stream_threshold(1);
  CHECK(lutra::restore(packed) == expected);
  lutra::simd::set_stream_threshold(threshold);
}

TEST_CASE("restore: codes of another type than the table's are refused") {
  const auto packed = lutra::pack(lutra::palettize(test::normal_weight({3, 4}, 7), {.n_bits = 2}));
  CHECK_ERROR(lutra::restore<std::int8_t>(packed), unsupported, "restore", "float32", "int8");
  const auto u = lutra::pack(lutra::palettize(
      test::normal_weight({3, 4}, 7),
      {.n_bits = 2, .lut_qspec = lutra::quantization_spec{.dtype = dtype::uint8}}));
  CHECK(lutra::restore<std::uint8_t>(u).size() == 12);
  CHECK_ERROR(lutra::restore<std::int8_t>(u), unsupported, "uint8");
}

TEST_CASE("restore: into a strided view, the gaps stay") {
  const auto packed = lutra::pack(lutra::palettize(test::normal_weight({3, 4}, 7), {.n_bits = 2}));
  const auto dense = lutra::restore(packed);
  std::vector<float> buffer(24, -7.0F);
  const std::array<index_t, 2> strides = {-8, 2};  // rows backwards, every other column
  const lutra::tensor_view<float> out(buffer.data() + 16, {3, 4}, strides);
  lutra::restore(packed, out);
  for (index_t i = 0; i < 3; ++i) {
    for (index_t j = 0; j < 4; ++j) {
      CHECK(out(i, j) == dense[i * 4 + j]);
      CHECK(buffer[static_cast<std::size_t>(16 - 8 * i + 2 * j + 1)] == -7.0F);
    }
  }
}

namespace {
template <class T>
concept restored_into = requires(const lutra::packed_palette& p, T& out) {
  lutra::restore(p, out);
};
static_assert(restored_into<std::vector<float>> && restored_into<const std::span<float>>);
static_assert(!restored_into<const std::vector<float>> && !restored_into<std::span<const float>>);
static_assert(!restored_into<const lutra::tensor<float>> && !restored_into<std::vector<double>>);
}  // namespace

TEST_CASE("restore: into any tensor that can be written") {
  const auto packed = lutra::pack(lutra::palettize(test::normal_weight({12}, 7), {.n_bits = 2}));
  const auto dense = lutra::restore(packed);
  std::vector<float> values(12);
  lutra::restore(packed, values);
  CHECK(values == dense.elements());
  lutra::tensor<lutra::half> halves({12});
  lutra::restore<lutra::simd::portable>(packed, halves);
  CHECK(same_bits(halves, dense.elements()));
}

TEST_CASE("restore: refuses another shape and corrupt data") {
  auto packed = lutra::pack(lutra::palettize(test::normal_weight({3, 4}, 7), {.n_bits = 2}));
  lutra::tensor<float> out({4, 3});
  CHECK_ERROR(lutra::restore(packed, out), shape_mismatch, "[4, 3]", "[3, 4]");
  packed.codes.clear();
  CHECK_ERROR(lutra::restore(packed), corrupt_data, "code stream");
}

}  // namespace
