#include <lutra/core/random.hpp>
#include <lutra/fake_quant/bit_mask.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace {

TEST_CASE("bit_mask: bits pushed in pieces of any size come back, and nothing is written beyond") {
  lutra::random_stream r(1);
  for (lutra::index_t n = 0; n <= 200; ++n) {
    std::vector<bool> bits;
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(lutra::mask_bytes(n)) + 1, 0xAB);
    lutra::bit_writer w(mask.data());
    while (static_cast<lutra::index_t>(bits.size()) < n) {
      const auto left = static_cast<std::uint64_t>(n) - bits.size();
      const auto count = std::min<std::uint64_t>(r.below(65), left);
      std::uint64_t word = 0;
      for (std::uint64_t i = 0; i < count; ++i) {
        bits.push_back(r.below(2) == 1);
        word |= std::uint64_t{bits.back() ? 1U : 0U} << i;
      }
      w.push(word, static_cast<lutra::index_t>(count));
    }
    w.finish();
    CHECK(mask.back() == 0xAB);
    mask.pop_back();
    for (lutra::index_t i = 0; i < n; ++i) {
      CHECK_UNARY(lutra::bit_at(mask, i) == bits[static_cast<std::size_t>(i)]);
      if (i + 64 > n) continue;
      const std::uint64_t word = lutra::word_at(mask, i);
      bool right = true;
      for (std::size_t k = 0; k < 64; ++k) {
        right = right && ((word >> k) & 1U) == (bits[static_cast<std::size_t>(i) + k] ? 1U : 0U);
      }
      CHECK_UNARY(right);
    }
    if (n % 8 != 0) CHECK((mask.back() >> (n % 8)) == 0);  // unused bits
  }
}

}  // namespace
