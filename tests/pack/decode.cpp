#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/pack/decode.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "quick.hpp"

namespace {

using bytes = std::vector<std::uint8_t>;
using lutra::index_t;
using lutra::simd::stores;

// Bit by bit, from the definition.
std::size_t code_at(const bytes& stream, int bits, std::size_t i) {
  std::size_t code = 0;
  for (int b = 0; b < bits; ++b) {
    const std::size_t at = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(b);
    code |= static_cast<std::size_t>(stream[at / 8] >> at % 8 & 1) << b;
  }
  return code;
}

bytes random_bytes(std::size_t n, std::uint64_t seed) {
  lutra::random_stream random(seed);
  bytes b(n);
  for (auto& x : b) x = static_cast<std::uint8_t>(random.next() >> 56);
  return b;
}

// Entries of which every byte differs from its neighbours'.
template <class T> std::vector<T> table_of(int bits) {
  std::vector<T> table(std::size_t{1} << bits);
  const bytes raw = random_bytes(table.size() * sizeof(T), 99);
  std::memcpy(static_cast<void*>(table.data()), raw.data(), raw.size());
  return table;
}

// Decodes into the middle of a buffer `offset` bytes past a 64-byte boundary (rounded down to elements).
template <class Level, class T>
void compare(const bytes& stream, int bits, std::size_t first, std::size_t n, std::size_t offset,
             const std::vector<T>& table, stores how) {
  std::vector<std::uint8_t> buffer((n + 2) * sizeof(T) + 128, 0xA5);
  auto address = reinterpret_cast<std::uintptr_t>(buffer.data()) + sizeof(T) + 63;
  address -= address % 64;
  T* const out = reinterpret_cast<T*>(address + offset / sizeof(T) * sizeof(T));
  lutra::decode<Level, T>(stream, bits, static_cast<index_t>(first), table, {out, n}, how);
  bool same = true;
  for (std::size_t i = 0; i < n; ++i) {
    same = same && std::memcmp(&out[i], &table[code_at(stream, bits, first + i)], sizeof(T)) == 0;
  }
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(out);
  for (const std::uint8_t* p = buffer.data(); p != buffer.data() + buffer.size(); ++p) {
    if (p < begin || p >= begin + n * sizeof(T)) same = same && *p == 0xA5;
  }
  const std::string level(Level::name);
  CAPTURE(level);
  CAPTURE(sizeof(T));
  CAPTURE(bits);
  CAPTURE(first);
  CAPTURE(n);
  CAPTURE(offset);
  REQUIRE(same);
}

template <class Level, class T> void every_length(Level) {
  const bool quick = test::quick();
  for (int bits = 1; bits <= 8; ++bits) {
    const auto table = table_of<T>(bits);
    for (const std::size_t first : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 12U, 70U}) {
      for (std::size_t n = 0; n <= 300; n += quick ? 13 : n < 140 ? 1 : 7) {
        // The stream ends with the last code: reading on would be seen by a sanitizer.
        const auto size = lutra::packed_bytes(static_cast<index_t>(first + n), bits);
        const bytes stream = random_bytes(static_cast<std::size_t>(size), first + n);
        compare<Level, T>(stream, bits, first, n, (first * 13 + n) % 64, table,
                          n % 2 == 0 ? stores::cached : stores::streaming);
      }
    }
  }
}

TEST_CASE("decode: every level, type, width, position and length gives the entries, nothing more") {
  for_each_kernel_level([](auto level) {
    every_length<decltype(level), std::uint8_t>(level);
    every_length<decltype(level), lutra::half>(level);
    every_length<decltype(level), float>(level);
  });
}

TEST_CASE("decode: every alignment of the output") {
  for_each_kernel_level([](auto level) {
    using A = decltype(level);
    const bytes stream = random_bytes(600, 3);
    for (int bits = 1; bits <= 8; ++bits) {
      for (std::size_t offset = 0; offset < 64; ++offset) {
        for (const stores how : {stores::cached, stores::streaming}) {
          compare<A, std::int8_t>(stream, bits, offset % 3, 333, offset,
                                  table_of<std::int8_t>(bits), how);
          compare<A, lutra::bfloat16>(stream, bits, 5, 333, offset, table_of<lutra::bfloat16>(bits),
                                      how);
          compare<A, float>(stream, bits, 4, 333, offset, table_of<float>(bits), how);
        }
      }
    }
  });
}

TEST_CASE("decode: a stream longer than needed") {
  const bytes stream = random_bytes(4096, 8);
  for (int bits = 1; bits <= 8; ++bits) {
    compare<lutra::simd::native, float>(stream, bits, 1000, 1000, 16, table_of<float>(bits),
                                        stores::cached);
  }
}

TEST_CASE("decode: refuses bad sizes by name") {
  const bytes stream(4);
  const std::vector<float> table(16);
  std::vector<float> out(8);
  const auto call = [&](int bits, index_t first, std::size_t entries) {
    lutra::decode<lutra::simd::native, float>(stream, bits, first, std::span(table).first(entries),
                                              out);
  };
  CHECK_ERROR(call(9, 0, 16), invalid_argument, "bits", "got 9");
  CHECK_ERROR(call(4, -1, 16), invalid_argument, "decode", "negative", "-1");
  CHECK_ERROR(call(4, 1, 16), shape_mismatch, "decode", "too short", "4 bytes", "5");
  CHECK_ERROR(call(4, 0, 15), shape_mismatch, "table entries", "15", "16");
  call(4, 0, 16);
}

}  // namespace
