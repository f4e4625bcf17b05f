#include <lutra/simd/widen.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "levels.hpp"

using namespace lutra;

// In arrays of exactly a register, on the heap, so that a sanitizer sees what is read past their end.
TEST_CASE("widen: bytes and words to floats, bytes to words") {
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    const auto s = std::make_unique<std::int8_t[]>(n);
    const auto u = std::make_unique<std::uint8_t[]>(n);
    const auto w = std::make_unique<std::int32_t[]>(n);
    std::vector<float> out(n);
    int wrong = 0;
    for (int value = -128; value < 128; ++value) {
      for (std::size_t i = 0; i < n; ++i) {
        s[i] = static_cast<std::int8_t>(value ^ static_cast<int>(i));
        u[i] = static_cast<std::uint8_t>(s[i]);
        w[i] = 65536 * value + static_cast<int>(i);
      }
      simd::store(out.data(), simd::widen<V>(s.get()));
      for (std::size_t i = 0; i < n; ++i) wrong += out[i] != static_cast<float>(s[i]);
      simd::store(out.data(), simd::widen<V>(u.get()));
      for (std::size_t i = 0; i < n; ++i) wrong += out[i] != static_cast<float>(u[i]);
      simd::store(out.data(), simd::widen<V>(w.get()));
      for (std::size_t i = 0; i < n; ++i) wrong += out[i] != static_cast<float>(w[i]);
      simd::store(out.data(), simd::byte_words<V>(u.get()));
      for (std::size_t i = 0; i < n; ++i) wrong += std::bit_cast<std::uint32_t>(out[i]) != u[i];
    }
    CHECK(wrong == 0);
  });
}
