// lutra: state.hpp - bytes of a saved state: little-endian fields, checked on reading.
// SPDX-License-Identifier: Apache-2.0
//
// A reader never allocates more than the bytes it holds could justify, so a corrupt length is an error,
// not an allocation. Value types; one thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <lutra/core/error.hpp>
#include <lutra/tensor/shape.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// The largest number of things seen that a loader accepts: two such numbers still add up.
inline constexpr std::int64_t largest_count = (std::int64_t{1} << 62) - 1;

class state_writer {
 public:
  void u8(std::uint8_t v) { bytes_.push_back(v); }
  void u32(std::uint32_t v) { integer(v, 4); }
  void u64(std::uint64_t v) { integer(v, 8); }
  void i64(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }
  void f32(float v) { u32(std::bit_cast<std::uint32_t>(v)); }
  void f64(double v) { u64(std::bit_cast<std::uint64_t>(v)); }
  void text(std::string_view s) {
    u64(s.size());
    for (const char c : s) u8(static_cast<std::uint8_t>(c));
  }
  void f32s(std::span<const float> vs) {
    u64(vs.size());
    for (const float v : vs) f32(v);
  }
  void extents(const shape& s) {
    u8(static_cast<std::uint8_t>(s.rank()));
    for (const index_t e : s) i64(e);
  }
  const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }
  std::vector<std::uint8_t> take() noexcept { return std::move(bytes_); }

 private:
  void integer(std::uint64_t v, int count) {
    for (int i = 0; i < count; ++i) u8(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  std::vector<std::uint8_t> bytes_;
};

// Reads what a state_writer wrote. Running out of bytes raises corrupt_data.
class state_reader {
 public:
  state_reader(std::span<const std::uint8_t> bytes, std::string_view where)
      : bytes_(bytes), where_(where) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(integer(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u64() { return integer(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  float f32() { return std::bit_cast<float>(u32()); }
  double f64() { return std::bit_cast<double>(u64()); }
  bool flag() {
    const std::uint8_t v = u8();
    if (v > 1) corrupt("flag is neither 0 nor 1", text_of(static_cast<int>(v)), "0, 1");
    return v == 1;
  }
  // A count of items of at least `item_bytes` each that are still to come.
  std::size_t count(std::size_t item_bytes) {
    const std::uint64_t n = u64();
    if (n > left() / item_bytes) {
      corrupt("count exceeds the bytes left", text_of(n), "<= " + text_of(left() / item_bytes));
    }
    return static_cast<std::size_t>(n);
  }
  std::string text() {
    std::string s(count(1), '\0');
    for (char& c : s) c = static_cast<char>(u8());
    return s;
  }
  // Of a tensor that would fit into memory; whether its elements follow is not looked at.
  shape extents() {
    const int rank = u8();
    if (rank > max_rank) corrupt("rank out of range", text_of(rank), range_text(0, max_rank));
    std::array<index_t, max_rank> e{};
    index_t size = 1;
    for (int i = 0; i < rank; ++i) {
      index_t& extent = e[to_size(i)];
      extent = i64();
      if (extent < 0 || (extent > 0 && size > max_size / extent)) {
        corrupt("extent out of range", text_of(extent), "fewer elements");
      }
      size *= extent > 0 ? extent : 1;
    }
    return shape(std::span<const index_t>(e.data(), to_size(rank)));
  }
  std::vector<float> f32s() {
    std::vector<float> vs(count(4));
    for (float& v : vs) v = f32();
    return vs;
  }
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  void expect_end() const {
    if (left() != 0) corrupt("bytes left over", text_of(left()), "0");
  }
  [[noreturn]] void corrupt(std::string what, std::string value, std::string allowed) const {
    raise(errc::corrupt_data, std::move(what), where_ + ", byte " + text_of(at_), std::move(value),
          std::move(allowed));
  }
  // Reads a version number. Raises unsupported unless it is the expected one.
  void version(std::uint32_t expected) {
    if (const std::uint32_t v = u32(); v != expected) {
      raise(errc::unsupported, "state has another version", where_, text_of(v), text_of(expected));
    }
  }

 private:
  std::uint64_t integer(std::size_t bytes) {
    if (left() < bytes) corrupt("data end too early", text_of(left()) + " bytes", text_of(bytes));
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < bytes; ++i) v |= std::uint64_t{bytes_[at_ + i]} << (8 * i);
    at_ += bytes;
    return v;
  }
  std::span<const std::uint8_t> bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

// A checksum (FNV-1a) at the end, which any single damaged byte contradicts.
inline std::uint64_t checksum_of(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const std::uint8_t b : bytes) h = (h ^ b) * 0x100000001b3ULL;
  return h;
}
inline std::vector<std::uint8_t> sealed(state_writer w) {
  w.u64(checksum_of(w.bytes()));
  return w.take();
}
// What was sealed. Raises corrupt_data if the checksum is another.
inline std::span<const std::uint8_t> unsealed(std::span<const std::uint8_t> bytes,
                                              std::string_view where) {
  const std::size_t n = bytes.size() < 8 ? 0 : bytes.size() - 8;
  state_reader seal(bytes.subspan(n), where);
  const std::uint64_t wanted = seal.u64(), got = checksum_of(bytes.first(n));
  if (got != wanted) {
    raise(errc::corrupt_data, "checksum differs, bytes are missing or damaged", std::string(where),
          text_of(got) + " of " + text_of(static_cast<index_t>(n)) + " bytes", text_of(wanted));
  }
  return bytes.first(n);
}

}  // namespace lutra::inline LUTRA_ABI
