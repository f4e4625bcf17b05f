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
      const auto count = std::min<std::uint64_t>(r.below(33), left);
      std::uint32_t word = 0;
      for (std::uint64_t i = 0; i < count; ++i) {
        bits.push_back(r.below(2) == 1);
        word |= (bits.back() ? 1U : 0U) << i;
      }
      w.push(word, static_cast<lutra::index_t>(count));
    }
    w.finish();
    CHECK(mask.back() == 0xAB);
    mask.pop_back();
    for (lutra::index_t i = 0; i < n; ++i) {
      for (lutra::index_t count = 0; count <= std::min<lutra::index_t>(16, n - i); ++count) {
        const std::uint32_t got = lutra::bits_at(mask, i, count);
        for (lutra::index_t k = 0; k < count; ++k) {
          CHECK_UNARY(((got >> k) & 1U) == (bits[static_cast<std::size_t>(i + k)] ? 1U : 0U));
        }
        CHECK_UNARY((got >> count) == 0);
      }
    }
    if (n % 8 != 0) CHECK((mask.back() >> (n % 8)) == 0);  // unused bits
  }
}

}  // namespace
