#include <lutra/core/random.hpp>
#include <lutra/simd/bit_codes.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernel_levels.hpp"

using namespace lutra;

// The contract of simd/bit_codes/generic.hpp, code by code, for every level.
namespace {

using bytes = std::vector<std::uint8_t>;

std::size_t code_at(const bytes& stream, std::size_t bits, std::size_t shift, std::size_t i) {
  std::size_t code = 0;
  for (std::size_t b = 0; b < bits; ++b) {
    const std::size_t at = shift + i * bits + b;
    code |= static_cast<std::size_t>(stream[at / 8] >> at % 8 & 1) << b;
  }
  return code;
}
bytes random_bytes(std::size_t n, std::uint64_t seed) {
  random_stream random(seed);
  bytes b(n);
  for (auto& x : b) x = static_cast<std::uint8_t>(random.next() >> 56);
  return b;
}
std::size_t size_of(index_t n) { return static_cast<std::size_t>(n); }

template <int Bits, class A> void one_step(A level) {
  const std::size_t step = size_of(code_step(level));
  const std::size_t moved = step * Bits / 8;
  const std::string name(A::name);
  CAPTURE(name);
  CAPTURE(Bits);
  REQUIRE(step % 8 == 0);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const bytes stream = random_bytes(size_of(simd::unpack_reach<Bits>(level)), seed);
    REQUIRE(stream.size() >= moved);
    bytes codes(step + 1, 0xEE);
    simd::unpack_step<Bits>(stream.data(), codes.data(), level);
    for (std::size_t i = 0; i < step; ++i) REQUIRE(codes[i] == code_at(stream, Bits, 0, i));
    REQUIRE(codes[step] == 0xEE);

    // Rubbish above the codes is ignored.
    const bytes above = random_bytes(step, seed + 100);
    for (std::size_t i = 0; i < step; ++i) {
      codes[i] = static_cast<std::uint8_t>(codes[i] | above[i] << Bits);
    }
    const std::size_t reach = size_of(simd::pack_reach<Bits>(level));
    REQUIRE(reach >= moved);
    bytes packed(reach + 1, 0xEE);
    simd::pack_step<Bits>(codes.data(), packed.data(), level);
    for (std::size_t i = 0; i < moved; ++i) REQUIRE(packed[i] == stream[i]);
    REQUIRE(packed[reach] == 0xEE);
  }
}

template <int Size, int Bits, class A> void one_look_up(A) {
  using lookup = simd::code_lookup<A, Size, Bits>;
  if constexpr (lookup::available) {
    const bytes table = random_bytes(std::size_t{Size} << Bits, 5);
    const lookup entries(table.data());
    REQUIRE(lookup::fits(0));
    for (int shift = 0; shift < 8; ++shift) {
      if (!lookup::fits(shift)) continue;
      const bytes stream = random_bytes(size_of(lookup::reach), static_cast<std::uint64_t>(shift));
      bytes out(size_of(lookup::step) * Size + 1, 0xEE);
      entries.template look_up<simd::stores::cached>(stream.data(), shift, out.data());
      const std::string name(A::name);
      CAPTURE(name);
      CAPTURE(Size);
      CAPTURE(Bits);
      CAPTURE(shift);
      for (std::size_t i = 0; i < size_of(lookup::step); ++i) {
        const std::size_t code = code_at(stream, Bits, static_cast<std::size_t>(shift), i);
        for (std::size_t b = 0; b < Size; ++b) REQUIRE(out[Size * i + b] == table[Size * code + b]);
      }
      REQUIRE(out.back() == 0xEE);
    }
  }
}

template <int... Zero, class F> void each_width(std::integer_sequence<int, Zero...>, F&& f) {
  (f(std::integral_constant<int, Zero + 1>{}), ...);
}

TEST_CASE("bit_codes: a step moves the codes, for every width and level") {
  for_each_kernel_level([](auto level) {
    each_width(std::make_integer_sequence<int, 7>{}, [&](auto bits) { one_step<bits()>(level); });
  });
}

TEST_CASE("bit_codes: look-ups give the entries, wherever the codes begin") {
  for_each_kernel_level([](auto level) {
    each_width(std::make_integer_sequence<int, 8>{}, [&](auto bits) {
      one_look_up<1, bits()>(level);
      one_look_up<2, bits()>(level);
      one_look_up<4, bits()>(level);
    });
  });
}

}  // namespace
