#include <lutra/core/random.hpp>
#include <lutra/pack/bit_pack.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "quick.hpp"

namespace {

using bytes = std::vector<std::uint8_t>;
using lutra::index_t;

// Bit by bit, from the definition.
bytes naive_pack(const bytes& codes, int bits) {
  bytes out((codes.size() * static_cast<std::size_t>(bits) + 7) / 8);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    for (int b = 0; b < bits; ++b) {
      const std::size_t at = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(b);
      if ((codes[i] >> b & 1) != 0)
        out[at / 8] = static_cast<std::uint8_t>(out[at / 8] | 1 << at % 8);
    }
  }
  return out;
}

bytes random_codes(std::size_t n, int bits, std::uint64_t seed) {
  lutra::random_stream random(seed, static_cast<std::uint64_t>(bits));
  bytes codes(n);
  for (std::uint8_t& c : codes) c = static_cast<std::uint8_t>(random.below(1U << bits));
  return codes;
}

bytes pack(const bytes& codes, int bits) {
  bytes out(static_cast<std::size_t>(lutra::packed_bytes(std::ssize(codes), bits)), 0xEE);
  lutra::pack_bits(codes, bits, out);
  return out;
}

TEST_CASE("bit_pack: every width and length up to 200 agrees with the bit-by-bit definition") {
  for (int bits = 1; bits <= 8; ++bits) {
    for (std::size_t n = 0; n <= 200; ++n) {
      const bytes codes = random_codes(n, bits, n);
      const bytes packed = pack(codes, bits);
      CAPTURE(bits);
      CAPTURE(n);
      REQUIRE(packed == naive_pack(codes, bits));
      bytes back(n + 1, 0xAA);
      lutra::unpack_bits(packed, bits, std::span<std::uint8_t>(back).first(n));
      REQUIRE(back[n] == 0xAA);  // nothing is written behind the end
      back.pop_back();
      REQUIRE(back == codes);
      REQUIRE(lutra::padding_is_zero(packed, static_cast<index_t>(n), bits));
    }
  }
}

TEST_CASE(
    "bit_pack: every level, width, length and misalignment gives the same bytes, nothing more") {
  const bool quick = test::quick();
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    const std::string name(A::name);
    CAPTURE(name);
    for (int bits = 1; bits <= 8; ++bits) {
      for (std::size_t n = 0; n <= 400; n += quick ? 17 : n < 200 ? 1 : 7) {
        // Exact heap blocks: a sanitizer sees every byte read or written too far.
        const std::size_t shift = n % 9;
        bytes codes(shift + n);
        const bytes drawn = random_codes(n, 8, n);  // bits above the width are ignored
        std::copy(drawn.begin(), drawn.end(), codes.begin() + static_cast<std::ptrdiff_t>(shift));
        const auto size = static_cast<std::size_t>(lutra::packed_bytes(std::ssize(drawn), bits));
        bytes packed(shift + size, 0x5A);
        lutra::pack_bits<A>(std::span(codes).subspan(shift), bits,
                            std::span(packed).subspan(shift));
        bytes expected(size);
        lutra::pack_plainly(drawn.data(), std::ssize(drawn), bits, expected.data());
        CAPTURE(bits);
        CAPTURE(n);
        bool same = true;
        for (std::size_t i = 0; i < size; ++i) same = same && packed[shift + i] == expected[i];
        for (std::size_t i = 0; i < shift; ++i) same = same && packed[i] == 0x5A;
        REQUIRE(same);
        bytes back(shift + n, 0x5A), plain(n);
        lutra::unpack_bits<A>(std::span(packed).subspan(shift), bits,
                              std::span(back).subspan(shift));
        lutra::unpack_plainly(expected.data(), std::ssize(plain), bits, plain.data());
        for (std::size_t i = 0; i < n; ++i) {
          same = same && back[shift + i] == plain[i] && plain[i] == (drawn[i] & ((1 << bits) - 1));
        }
        for (std::size_t i = 0; i < shift; ++i) same = same && back[i] == 0x5A;
        REQUIRE(same);
      }
    }
  });
}

TEST_CASE("bit_pack: long streams at every place in a cache line") {
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    const std::string name(A::name);
    CAPTURE(name);
    for (int bits = 1; bits <= 7; ++bits) {
      const bytes codes = random_codes(1100, bits, 3);
      const bytes expected = naive_pack(codes, bits);
      for (std::size_t place = 0; place < 64; ++place) {
        alignas(64) std::array<std::uint8_t, 1200> stream{}, back{};
        lutra::pack_bits<A>(codes, bits, std::span(stream).subspan(place, expected.size()));
        REQUIRE(std::equal(expected.begin(), expected.end(),
                           stream.begin() + static_cast<std::ptrdiff_t>(place)));
        REQUIRE(stream[place + expected.size()] == 0);
        lutra::unpack_bits<A>(std::span(stream).subspan(place, expected.size()), bits,
                              std::span(back).subspan(64 - place, codes.size()));
        REQUIRE(std::equal(codes.begin(), codes.end(),
                           back.begin() + static_cast<std::ptrdiff_t>(64 - place)));
        REQUIRE(back[64 - place + codes.size()] == 0);
      }
    }
  });
}

TEST_CASE("bit_pack: nothing is written outside the output") {
  for (int bits = 1; bits <= 8; ++bits) {
    const bytes codes = random_codes(101, bits, 7);
    const auto size = static_cast<std::size_t>(lutra::packed_bytes(101, bits));
    bytes out(size + 2, 0x5A);
    lutra::pack_bits(codes, bits, std::span<std::uint8_t>(out).subspan(1, size));
    CHECK(out.front() == 0x5A);
    CHECK(out.back() == 0x5A);
  }
}

TEST_CASE("bit_pack: bits of a code above the width are ignored") {
  CHECK(pack({0xF1, 0xF2}, 4) == bytes{0x21});
}

TEST_CASE("bit_pack: published streams") {
  CHECK(pack({1, 2, 3, 4, 5}, 4) == bytes{33, 67, 5});
  CHECK(pack({1, 2, 3, 4, 5, 6, 7, 0}, 3) == bytes{209, 88, 31});
  CHECK(pack({21}, 6) == bytes{21});
}

TEST_CASE("bit_pack: sizes are exact and do not overflow") {
  CHECK(lutra::packed_bytes(0, 3) == 0);
  CHECK(lutra::packed_bytes(1, 1) == 1);
  CHECK(lutra::packed_bytes(9, 7) == 8);
  CHECK(lutra::packed_bytes(index_t{1} << 62, 8) == index_t{1} << 62);
}

TEST_CASE("bit_pack: set padding is noticed") {
  CHECK(!lutra::padding_is_zero(bytes{0x08}, 1, 3));
  CHECK(lutra::padding_is_zero(bytes{0x07}, 1, 3));
  CHECK(lutra::padding_is_zero(bytes{0xFF}, 8, 1));
  CHECK(lutra::padding_is_zero(bytes{}, 0, 5));
}

TEST_CASE("bit_pack: refuses bad sizes by name") {
  bytes out(2), seven(7);
  CHECK_ERROR(lutra::packed_bytes(4, 0), invalid_argument, "bits", "got 0", "1..8");
  CHECK_ERROR(lutra::packed_bytes(4, 9), invalid_argument, "got 9");
  CHECK_ERROR(lutra::packed_bytes(-1, 4), invalid_argument, "negative", "-1");
  CHECK_ERROR(lutra::pack_bits(bytes(5), 4, out), shape_mismatch, "pack_bits", "2 bytes", "3");
  CHECK_ERROR(lutra::unpack_bits(out, 4, seven), shape_mismatch, "unpack_bits", "2 bytes", "4");
}

}  // namespace
