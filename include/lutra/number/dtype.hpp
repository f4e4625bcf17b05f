// lutra: dtype.hpp - quantized element types: bits, ranges, names. Storage classes live beside it.
// SPDX-License-Identifier: Apache-2.0
//
// n-bit integers hold -2^(n-1) .. 2^(n-1)-1 or 0 .. 2^n-1. Quantized values of 8 bits or fewer are
// kept one per byte (int8/uint8 of the same signedness) until they are packed.
#pragma once

#include <array>
#include <cstdint>
#include <lutra/core/error.hpp>
#include <lutra/number/suggestion.hpp>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// clang-format off
enum class dtype : std::uint8_t {
  int1, int2, int3, int4, int5, int6, int7, int8,
  uint1, uint2, uint3, uint4, uint5, uint6, uint7, uint8,
  float8_e4m3fn, float8_e5m2, float4_e2m1fn,
  float8_e8m0fnu, float16, bfloat16, float32  // of scales only
};
// clang-format on

struct dtype_info {
  std::string_view name;
  int bits;
  bool integer;
  bool is_signed;
  float quant_min;  // finite range
  float quant_max;
};

inline constexpr std::array<std::string_view, 16> integer_dtype_names = {
    "int1",  "int2",  "int3",  "int4",  "int5",  "int6",  "int7",  "int8",
    "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "uint8"};

constexpr dtype_info info(dtype d) noexcept {
  const auto i = static_cast<int>(d);
  if (i < 16) {
    const int bits = i % 8 + 1;
    const bool is_signed = i < 8;
    const int lo = is_signed ? -(1 << (bits - 1)) : 0;
    const int hi = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    return {integer_dtype_names[to_size(i)], bits, true, is_signed, static_cast<float>(lo),
            static_cast<float>(hi)};
  }
  switch (d) {
    case dtype::float8_e4m3fn:
      return {"float8_e4m3fn", 8, false, true, -448.0F, 448.0F};
    case dtype::float8_e5m2:
      return {"float8_e5m2", 8, false, true, -57344.0F, 57344.0F};
    case dtype::float4_e2m1fn:
      return {"float4_e2m1fn", 4, false, true, -6.0F, 6.0F};
    case dtype::float8_e8m0fnu:
      return {"float8_e8m0fnu", 8, false, false, 0x1p-127F, 0x1p127F};
    case dtype::float16:
      return {"float16", 16, false, true, -65504.0F, 65504.0F};
    case dtype::bfloat16:
      return {"bfloat16", 16, false, true, -0x1.fep127F, 0x1.fep127F};
    default:
      return {"float32", 32, false, true, -0x1.fffffep127F, 0x1.fffffep127F};
  }
}
constexpr std::string_view name_of(dtype d) noexcept { return info(d).name; }
constexpr bool is_integer(dtype d) noexcept { return d <= dtype::uint8; }
constexpr int bits_of(dtype d) noexcept { return info(d).bits; }

// Accepts the canonical names and the aliases float8_e4m3, float8_e8m0, float4_e2m1fn_x2.
inline dtype parse_dtype(std::string_view name) {
  if (name == "float8_e4m3") return dtype::float8_e4m3fn;
  if (name == "float8_e8m0") return dtype::float8_e8m0fnu;
  if (name == "float4_e2m1fn_x2") return dtype::float4_e2m1fn;
  for (int i = 0; i <= static_cast<int>(dtype::float32); ++i) {
    if (name_of(static_cast<dtype>(i)) == name) return static_cast<dtype>(i);
  }
  std::array<std::string_view, static_cast<std::size_t>(dtype::float32) + 1> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = name_of(static_cast<dtype>(i));
  raise(errc::unsupported, "unknown dtype", "parse_dtype", text_of(name),
        "int1..int8, uint1..uint8, float8_e4m3fn, float8_e5m2, float4_e2m1fn, float8_e8m0fnu, "
        "float16, bfloat16, "
        "float32" +
            did_you_mean(name, names));
}

}  // namespace lutra::inline LUTRA_ABI
