// lutra: neon.hpp - streams of codes on neon64, 16 codes at a time (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// Unpacking: tbl brings the two bytes that hold a code into a 16-bit lane, which is shifted by its own
// amount. Packing: neighbours are joined by shift-and-insert, then tbl closes the gaps. Look-ups: tables of
// up to 64 entries by tbl, one plane of bytes per byte of an entry; st2 and st4 interleave them.
#pragma once

#include <array>
#include <lutra/simd/bit_codes/generic.hpp>

#if !LUTRA_PORTABLE && defined(__aarch64__)
#include <arm_neon.h>

namespace lutra::inline LUTRA_ABI::simd {

constexpr index_t code_step(neon64) { return 16; }
template <int Bits> constexpr index_t unpack_reach(neon64) { return 16; }
template <int Bits> constexpr index_t pack_reach(neon64) { return 16; }

// Bytes and (negative: right) shifts of the codes 0..7 or 8..15.
template <int Bits, int First> struct neon_spread {
  std::array<std::uint8_t, 16> byte{};
  std::array<std::int16_t, 8> shift{};
  constexpr neon_spread() {
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const std::size_t bit = (First + lane) * Bits;
      byte[2 * lane] = static_cast<std::uint8_t>(bit / 8);
      byte[2 * lane + 1] = static_cast<std::uint8_t>(bit / 8 + 1);
      shift[lane] = static_cast<std::int16_t>(-static_cast<int>(bit % 8));
    }
  }
};
template <int Bits, int First> inline constexpr neon_spread<Bits, First> neon_spread_of{};

template <int Bits> [[gnu::always_inline]] inline uint8x16_t unpack_16(const std::uint8_t* from) {
  const uint8x16_t x = vld1q_u8(from);
  const auto half = [&](const auto& c) {
    const uint16x8_t pairs = vreinterpretq_u16_u8(vqtbl1q_u8(x, vld1q_u8(c.byte.data())));
    return vmovn_u16(vshlq_u16(pairs, vld1q_s16(c.shift.data())));
  };
  return vandq_u8(vcombine_u8(half(neon_spread_of<Bits, 0>), half(neon_spread_of<Bits, 8>)),
                  vdupq_n_u8((1U << Bits) - 1));
}
template <int Bits>
[[gnu::always_inline]] inline void unpack_step(const std::uint8_t* from, std::uint8_t* to, neon64) {
  vst1q_u8(to, unpack_16<Bits>(from));
}

template <int Bits> struct neon_collect {
  std::array<std::uint8_t, 16> byte{};
  constexpr neon_collect() {
    for (std::size_t i = 0; i < 16; ++i) {
      byte[i] = static_cast<std::uint8_t>(i < Bits       ? i
                                          : i < 2 * Bits ? 8 + i - Bits
                                                         : std::size_t{0xFF});
    }
  }
};
template <int Bits> inline constexpr neon_collect<Bits> neon_collected{};

template <int Bits>
[[gnu::always_inline]] inline void pack_step(const std::uint8_t* from, std::uint8_t* to, neon64) {
  const uint8x16_t codes = vandq_u8(vld1q_u8(from), vdupq_n_u8((1U << Bits) - 1));
  const uint16x8_t x = vreinterpretq_u16_u8(codes);
  // vsli keeps the low bits of its first operand and puts the second above them.
  const uint32x4_t pairs = vreinterpretq_u32_u16(vsliq_n_u16(x, vshrq_n_u16(x, 8), Bits));
  const uint32x4_t high = vshrq_n_u32(pairs, 16);
  const uint64x2_t fours = vreinterpretq_u64_u32(vsliq_n_u32(pairs, high, 2 * Bits));
  const uint64x2_t eights = vsliq_n_u64(fours, vshrq_n_u64(fours, 32), 4 * Bits);
  vst1q_u8(to,
           vqtbl1q_u8(vreinterpretq_u8_u64(eights), vld1q_u8(neon_collected<Bits>.byte.data())));
}

template <int Size, int Bits>
requires(Bits <= 6) struct code_lookup<neon64, Size, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 16;
  static constexpr index_t reach = 16;
  static constexpr std::uintptr_t alignment = 1;
  static constexpr bool fits(int shift) { return shift == 0; }

  explicit code_lookup(const void* table) {
    const auto* const bytes = static_cast<const std::uint8_t*>(table);
    for (std::size_t p = 0; p < Size; ++p) {
      std::array<std::uint8_t, 64> plane{};
      for (std::size_t i = 0; i < std::size_t{1} << Bits; ++i) plane[i] = bytes[Size * i + p];
      for (std::size_t q = 0; q < 4; ++q) plane_[p].val[q] = vld1q_u8(plane.data() + 16 * q);
    }
  }
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int, void* to) const {
    const uint8x16_t codes = unpack_16<Bits>(from);
    auto* const out = static_cast<std::uint8_t*>(to);
    if constexpr (Size == 1) {
      vst1q_u8(out, entries(0, codes));
    } else if constexpr (Size == 2) {
      const uint8x16x2_t planes{{entries(0, codes), entries(1, codes)}};
      vst2q_u8(out, planes);  // a macro with clang
    } else {
      const uint8x16x4_t planes{
          {entries(0, codes), entries(1, codes), entries(2, codes), entries(3, codes)}};
      vst4q_u8(out, planes);
    }
  }

 private:
  [[gnu::always_inline]] uint8x16_t entries(std::size_t plane, uint8x16_t codes) const {
    if constexpr (Bits <= 4) return vqtbl1q_u8(plane_[plane].val[0], codes);
    return vqtbl4q_u8(plane_[plane], codes);
  }

  uint8x16x4_t plane_[to_size(Size)];
};
template <int Size, int Bits>
struct code_lookup<neon64_dotprod, Size, Bits> : code_lookup<neon64, Size, Bits> {
  using code_lookup<neon64, Size, Bits>::code_lookup;
};
template <int Size, int Bits>
struct code_lookup<neon64_i8mm, Size, Bits> : code_lookup<neon64, Size, Bits> {
  using code_lookup<neon64, Size, Bits>::code_lookup;
};

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
