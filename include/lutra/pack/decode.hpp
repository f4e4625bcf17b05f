// lutra: decode.hpp - a stream of codes and a table to the table's entries.
// SPDX-License-Identifier: Apache-2.0
//
// out[i] = table[code number first + i] for entries of 1, 2 or 4 bytes (float, half, bfloat16, int8, ...),
// copied bit for bit: scale factors are applied to the table, which is short. Where a level has a look-up
// for the table (simd/bit_codes) codes go from stream to entries in registers; else they are unpacked a
// few hundred at a time. The first and last few elements take the same steps through a small buffer.
// Cost: about that of filling `out` up to 16 entries, and at any size where the level has vpermi2b.
#pragma once

#include <array>
#include <bit>
#include <lutra/pack/bit_pack.hpp>
#include <lutra/simd/floats.hpp>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

template <class T>
concept table_entry = std::is_trivially_copyable_v<T> &&
    (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4);

// Entries of up to four bytes, gathered in words: fewer loads and stores than one by one.
template <class T>
void look_up_plainly(const std::uint8_t* codes, index_t n, const T* table, T* out) noexcept {
  using bits_of_entry =
      std::conditional_t<sizeof(T) == 1, std::uint8_t,
                         std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>>;
  constexpr int per_word = 8 / static_cast<int>(sizeof(T));
  index_t i = 0;
  for (; simd::little_endian && i + 8 <= n; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, codes + i, 8);
    for (int first = 0; first < 8; first += per_word) {
      std::uint64_t word = 0;
      for (int k = 0; k < per_word; ++k) {
        const T entry = table[eight >> (8 * (first + k)) & 0xFF];
        word |= std::uint64_t{std::bit_cast<bits_of_entry>(entry)} << (64 / per_word * k);
      }
      std::memcpy(static_cast<void*>(out + i + first), &word, 8);
    }
  }
  for (; i < n; ++i) out[i] = table[codes[i]];
}

// Codes by blocks, entries by plain loads; `first` is a multiple of 8.
template <class Level, int Bits, class T>
void decode_plainly(const std::uint8_t* stream, index_t bytes, index_t first, const T* table,
                    T* out, index_t n) noexcept {
  constexpr index_t block = 512;
  std::array<std::uint8_t, to_size(block)> codes;
  for (index_t i = 0; i < n; i += block) {
    const index_t count = std::min(block, n - i);
    const index_t at = (first + i) / 8 * Bits;
    index_t done = count;
    if constexpr (Bits == 8) {
      std::memcpy(codes.data(), stream + at, to_size(count));
    } else {
      done = simd::little_endian
                 ? unpack_in_steps<Level, Bits>(stream + at, count, codes.data(), bytes - at)
                 : 0;
      unpack_plainly(stream + at + done / 8 * Bits, count - done, Bits, codes.data() + done);
    }
    look_up_plainly(codes.data(), count, table, out + i);
  }
}

// The same from any position.
template <class Level, int Bits, class T>
void decode_unprepared(const std::uint8_t* stream, index_t bytes, index_t first, const T* table,
                       T* out, index_t n) noexcept {
  const index_t skipped = first % 8;
  const index_t head = std::min(n, (8 - skipped) % 8);
  if (head > 0) {
    std::array<std::uint8_t, 8> codes;
    unpack_plainly(stream + first / 8 * Bits, skipped + head, Bits, codes.data());
    for (index_t i = 0; i < head; ++i) {
      out[i] = table[codes[to_size(skipped + i)]];
    }
  }
  decode_plainly<Level, Bits>(stream, bytes, first + head, table, out + head, n - head);
}

// The loops of one table, prepared once.
template <class Level, int Bits, class T> class decoder {
 public:
  explicit decoder(const T* table) noexcept : table_(table), lookup_(table) {}

  // Whether preparing a table pays off for n elements.
  static constexpr bool worth_it(index_t n) noexcept { return vectors && n >= index_t{1} << Bits; }

  // `bytes` is the length of the stream; no checks.
  void run(const std::uint8_t* stream, index_t bytes, index_t first, T* out, index_t n,
           simd::stores stores) const noexcept {
    if constexpr (!vectors) {
      decode_unprepared<Level, Bits>(stream, bytes, first, table_, out, n);
    } else {
      const index_t head = n < 2 * step ? 0 : head_of(first, out);
      const bool aligned = is_aligned(out + head);
      for (index_t i = 0; i < head; i += step) {
        from_buffer(stream, bytes, first + i, out + i, std::min(step, head - i));
      }
      index_t i = head;
      if (lookup::fits(shift_of(first + i))) {
        i += stores == simd::stores::streaming && aligned
                 ? in_steps<simd::stores::streaming>(stream, bytes, first + i, out + i, n - i)
                 : in_steps<simd::stores::cached>(stream, bytes, first + i, out + i, n - i);
      }
      for (; i < n; i += step) {
        from_buffer(stream, bytes, first + i, out + i, std::min(step, n - i));
      }
    }
  }

 private:
  using lookup = simd::code_lookup<Level, sizeof(T), Bits>;
  static constexpr bool vectors = lookup::available && simd::little_endian;
  struct no_lookup {
    explicit no_lookup(const T*) {}
  };
  using held_lookup = std::conditional_t<vectors, lookup, no_lookup>;
  static constexpr index_t step = [] {
    if constexpr (vectors) return lookup::step;
    return index_t{8};
  }();

  static int shift_of(index_t code) noexcept { return static_cast<int>(code % 8 * Bits % 8); }
  static bool is_aligned(const T* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p) % lookup::alignment == 0;
  }
  // Elements until both output and stream allow full speed; if they never do, until the stream does.
  static index_t head_of(index_t first, const T* out) noexcept {
    const auto past =
        static_cast<index_t>(reinterpret_cast<std::uintptr_t>(out) % lookup::alignment);
    constexpr auto size = static_cast<index_t>(sizeof(T));
    constexpr auto alignment = static_cast<index_t>(lookup::alignment);
    const index_t head = (alignment - past) % alignment / size;
    if (past % size == 0 && lookup::fits(shift_of(first + head))) return head;
    return (8 - first % 8) % 8;
  }

  template <simd::stores S>
  index_t in_steps(const std::uint8_t* stream, index_t bytes, index_t first, T* out,
                   index_t n) const noexcept {
    constexpr index_t moved = step * Bits / 8;
    const index_t at = first / 8 * Bits + first % 8 * Bits / 8;
    const int shift = shift_of(first);
    const index_t steps = steps_within(n, step, bytes - at, lookup::reach, moved);
    const lookup table = lookup_;  // stores to `out` must not look as if they changed it
    const std::uint8_t* from = stream + at;
    // Not where as much is read as written: a plain copy gains nothing.
    constexpr bool ask_ahead =
        S == simd::stores::streaming && 2 * Bits <= 8 * static_cast<int>(sizeof(T));
    index_t i = 0;
    if constexpr (ask_ahead && moved == 64) {
      // Whole lines of codes: four are asked for at a time, and not far ahead. Memory that is read and written at
      // once likes longer runs of either; still longer ones are slower again.
      for (; i + 4 <= steps; i += 4) {
        simd::unroll<4>([&](auto u) __attribute__((always_inline)) {
          simd::prefetch(from + (i + u) * moved, 512);
        });
        simd::unroll<4>([&](auto u) __attribute__((always_inline)) {
          table.template look_up<S>(from + (i + u) * moved, shift, out + (i + u) * step);
        });
      }
    }
    for (; i < steps; ++i) {
      if constexpr (ask_ahead) simd::prefetch(from + i * moved, 2048);
      if constexpr (S == simd::stores::cached) {
        constexpr index_t written = step * static_cast<index_t>(sizeof(T));
        simd::unroll<(written + 63) / 64>([&](auto line) __attribute__((always_inline)) {
          simd::prefetch_for_write(out + i * step, write_ahead + 64 * line);
        });
      }
      table.template look_up<S>(from + i * moved, shift, out + i * step);
    }
    return steps * step;
  }

  // At most `step` elements from anywhere, through buffers.
  void from_buffer(const std::uint8_t* stream, index_t bytes, index_t first, T* out,
                   index_t n) const noexcept {
    if (n == 0) return;
    const index_t skipped = first % 8;
    const index_t begin = first / 8 * Bits;
    // Two steps: the elements skipped may push the last ones into the second.
    constexpr index_t moved = step * Bits / 8;
    std::array<std::uint8_t, to_size(2 * moved + lookup::reach)> in{};
    std::array<T, to_size(2 * step)> entries;
    std::memcpy(in.data(), stream + begin, to_size(std::min(2 * moved, bytes - begin)));
    lookup_.template look_up<simd::stores::cached>(in.data(), 0, entries.data());
    if (skipped + n > step) {
      lookup_.template look_up<simd::stores::cached>(in.data() + moved, 0, entries.data() + step);
    }
    std::memcpy(out, entries.data() + skipped, to_size(n) * sizeof(T));
  }

  const T* table_;
  held_lookup lookup_;
};

// Decodes out.size() codes of `stream` from number `first` on. Checked: 1 <= bits <= 8, a table of 2^bits
// entries, a stream that holds those codes. With stores::streaming the entries go around the caches.
template <class Level = simd::native, table_entry T>
void decode(std::span<const std::uint8_t> stream, int bits, index_t first, std::span<const T> table,
            std::span<T> out, simd::stores stores = simd::stores::cached) {
  const auto n = static_cast<index_t>(out.size());
  const auto bytes = static_cast<index_t>(stream.size());
  if (first < 0)
    raise(errc::invalid_argument, "negative position", "decode", text_of(first), ">= 0");
  if (const index_t needed = packed_bytes(first + n, bits); bytes < needed) {
    raise(errc::shape_mismatch, "the packed stream is too short", "decode",
          text_of(bytes) + " bytes", text_of(needed));
  }
  if (table.size() != std::size_t{1} << bits) {
    raise(errc::shape_mismatch, "wrong number of table entries", "decode",
          text_of(static_cast<index_t>(table.size())), text_of(index_t{1} << bits));
  }
  if (n == 0) return;
  with_bits(bits, [&](auto b) {
    using table_decoder = decoder<Level, b(), T>;
    if (table_decoder::worth_it(n)) {
      table_decoder(table.data()).run(stream.data(), bytes, first, out.data(), n, stores);
    } else {
      decode_unprepared<Level, b()>(stream.data(), bytes, first, table.data(), out.data(), n);
    }
  });
  if (stores == simd::stores::streaming) simd::stream_fence();
}

}  // namespace lutra::inline LUTRA_ABI
