// lutra: cpu.hpp - whether the CPU and the operating system can run code of a build level.
// SPDX-License-Identifier: Apache-2.0
//
// A level runs where every instruction that its compiler flags (cmake/LutraLevels.cmake) allow exists, also those
// that only the compiler itself would choose, and where the system saves the registers on a task switch. Reading
// costs some hundred cycles: ask once.
#pragma once

#include <cstdint>
#include <lutra/simd/arch.hpp>
#include <lutra/simd/tile_permission.hpp>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && __has_include(<sys/auxv.h>)
#include <sys/auxv.h>
#endif

namespace lutra::inline LUTRA_ABI::simd {

// What decides: words of CPUID (named by leaf, or leaf and subleaf) and XCR0 on x86, of the kernel's hardware
// capabilities on aarch64; and what the process may do. All zero: nothing but plain code.
struct cpu_words {
  std::uint32_t leaf1_ecx = 0, leaf1_edx = 0;
  std::uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
  std::uint32_t leaf7_1_eax = 0;
  std::uint32_t extended1_ecx = 0;  // leaf 0x80000001
  std::uint64_t xcr0 = 0;           // registers that the system saves
  std::uint32_t permissions =
      0;  // bit 0: the system lets this process use tiles (with_permissions)
  std::uint64_t hwcap = 0, hwcap2 = 0;
};

// All of the numbered bits are set.
template <class Word, class... Bits> constexpr bool has_bits(Word word, Bits... bits) noexcept {
  return (... && ((word >> bits & 1) != 0));
}
// AMX: the instructions and registers exist, and the system saves both kinds of these.
constexpr bool has_tile_registers(const cpu_words& c) noexcept {
  return has_bits(c.leaf7_edx, 24, 25) && has_bits(c.xcr0, 17, 18);
}

// What the CPU has; nothing is asked of the system.
inline cpu_words read_cpu() {
  cpu_words c;
#if defined(__x86_64__) || defined(__i386__)
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
    c.leaf1_ecx = ecx;
    c.leaf1_edx = edx;
  }
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    const std::uint32_t subleaves = eax;
    c.leaf7_ebx = ebx;
    c.leaf7_ecx = ecx;
    c.leaf7_edx = edx;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) c.leaf7_1_eax = eax;
  }
  if (__get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0) c.extended1_ecx = ecx;
  if ((c.leaf1_ecx >> 27 & 1) != 0) {  // OSXSAVE: the system uses XSAVE, XCR0 can be read
    std::uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    c.xcr0 = std::uint64_t{high} << 32 | low;
  }
#elif defined(__aarch64__) && __has_include(<sys/auxv.h>)
  c.hwcap = ::getauxval(AT_HWCAP);
  c.hwcap2 = ::getauxval(AT_HWCAP2);
#endif
  return c;
}

// Where there are tiles, asks the system for leave to use them, which has a price (tile_permission.hpp).
inline cpu_words with_permissions(cpu_words c) {
  if (has_tile_registers(c) && tiles_permitted()) c.permissions = 1;
  return c;
}

constexpr bool runs_on(const cpu_words&, portable) noexcept { return true; }

constexpr bool runs_on(const cpu_words& c, sse2) noexcept {
  return has_bits(c.leaf1_edx, 25, 26);  // SSE, SSE2
}
constexpr bool runs_on(const cpu_words& c, sse4_1) noexcept {
  return runs_on(c, sse2{}) && has_bits(c.leaf1_ecx, 0, 9, 19);  // SSE3, SSSE3, SSE4.1
}
// x86-64-v3.
constexpr bool runs_on(const cpu_words& c, avx2) noexcept {
  return runs_on(c, sse4_1{}) &&
         // FMA, CMPXCHG16B, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LAHF, LZCNT
         has_bits(c.leaf1_ecx, 12, 13, 20, 22, 23, 27, 28, 29) && has_bits(c.leaf7_ebx, 3, 5, 8) &&
         has_bits(c.extended1_ecx, 0, 5) && has_bits(c.xcr0, 1, 2);  // xmm, ymm
}
constexpr bool runs_on(const cpu_words& c, avxvnni) noexcept {
  return runs_on(c, avx2{}) && has_bits(c.leaf7_1_eax, 4);
}
// x86-64-v4: AVX-512 F, DQ, CD, BW, VL; mask registers, both halves of the zmm.
constexpr bool runs_on(const cpu_words& c, avx512bw) noexcept {
  return runs_on(c, avx2{}) && has_bits(c.leaf7_ebx, 16, 17, 28, 30, 31) &&
         has_bits(c.xcr0, 5, 6, 7);
}
// icelake-server, of which a compiler may use by itself: IFMA; VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG,
// VPOPCNTDQ.
constexpr bool runs_on(const cpu_words& c, avx512vnni_vbmi) noexcept {
  return runs_on(c, avx512bw{}) && has_bits(c.leaf7_ebx, 21) &&
         has_bits(c.leaf7_ecx, 1, 6, 8, 9, 10, 11, 12, 14);
}
constexpr bool runs_on(const cpu_words& c, amx_int8) noexcept {
  return runs_on(c, avx512vnni_vbmi{}) && has_tile_registers(c) && has_bits(c.permissions, 0);
}

constexpr bool runs_on(const cpu_words& c, neon64) noexcept { return has_bits(c.hwcap, 1); }
// armv8.2-a with dotprod: CRC32, atomics, RDM, dot products.
constexpr bool runs_on(const cpu_words& c, neon64_dotprod) noexcept {
  return runs_on(c, neon64{}) && has_bits(c.hwcap, 7, 8, 12, 20);
}
constexpr bool runs_on(const cpu_words& c, neon64_i8mm) noexcept {
  return runs_on(c, neon64_dotprod{}) && has_bits(c.hwcap2, 13);
}

}  // namespace lutra::inline LUTRA_ABI::simd
