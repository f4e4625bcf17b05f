#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <lutra/core/random.hpp>
#include <lutra/simd/primitives.hpp>
#include <string>
#include <vector>

#include "kernel_levels.hpp"

using namespace lutra;

// The contract of simd/primitives/generic.hpp, lane by lane, for every level.
namespace {

template <class A> struct buffers {
  static constexpr auto size = static_cast<std::size_t>(simd::vector_size<A>);
  static constexpr auto lanes = size / 4;
  using bytes = std::array<std::int8_t, size>;
  using ints = std::array<std::int32_t, lanes>;
  using floats = std::array<float, lanes>;

  static bytes random_bytes(random_stream& r, int lowest = -128) {
    bytes b;
    for (auto& x : b) {
      x = static_cast<std::int8_t>(
          lowest + static_cast<int>(r.below(static_cast<std::uint64_t>(128 - lowest))));
    }
    return b;
  }
  static ints store(simd::ints_of<A> v) {
    ints out;
    store_ints(out.data(), v, A{});
    return out;
  }
  static bytes as_bytes(simd::bytes_of<A> v) {
    bytes out;
    store_bytes(out.data(), v, A{});
    return out;
  }
};

}  // namespace

TEST_CASE("primitives: dot adds four products per lane, whatever the values") {
  random_stream r(1);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    bool good = true;
    const auto check = [&](auto promise, int lowest) {
      for (int t = 0; t < 200; ++t) {
        typename B::bytes w = B::random_bytes(r, lowest);
        std::array<std::int8_t, 4> a;
        for (auto& x : a) x = static_cast<std::int8_t>(r.below(256));
        if (t < 32) {  // extremes: every combination of signs
          const int high = t & 8 ? -127 : 127;
          w.fill(static_cast<std::int8_t>(t & 1 ? lowest : high));
          a.fill(static_cast<std::int8_t>(t & 2 ? -128 : 127));
          if (t & 4) a[1] = a[3] = static_cast<std::int8_t>(t & 2 ? 127 : -128);
          for (std::size_t i = 1; t & 16 && i < w.size(); i += 2) {
            w[i] = static_cast<std::int8_t>(t & 1 ? 127 : lowest);
          }
        }
        typename B::bytes stored = w;
        for (auto& x : stored) x = static_cast<std::int8_t>(x + weight_bias(level));
        const auto start = static_cast<std::int32_t>(r.next());
        const auto rows = simd::weights(load_bytes(stored.data(), level), promise, level);
        typename B::bytes activations{};
        std::ranges::copy(a, activations.end() - 4);  // the last group
        std::array<std::int8_t, B::size * simd::activation_bytes<A>> prepared;
        simd::store_activations(prepared.data(), load_bytes(activations.data(), level), level);
        const auto four = simd::activations(
            prepared.data() + prepared.size() - 4 * simd::activation_bytes<A>, promise, level);
        const auto sums = B::store(simd::dot(splat_ints(start, level), rows, four, promise, level));
        for (std::size_t i = 0; i < B::lanes; ++i) {
          auto expected = static_cast<std::uint32_t>(start);
          for (std::size_t j = 0; j < 4; ++j) {
            expected += static_cast<std::uint32_t>((w[4 * i + j] + weight_bias(level)) * a[j]);
            if (splits_activations(level)) {
              expected += static_cast<std::uint32_t>(std::min(int{a[j]}, 0));
            }
          }
          good = good && sums[i] == static_cast<std::int32_t>(expected);
        }
      }
    };
    check(simd::any_weight{}, -128);
    if constexpr (has_small_weight_dot(A{})) check(simd::small_weight{}, -127);
    CAPTURE(std::string(A::name));
    CHECK(good);
  });
}

TEST_CASE("primitives: pair_dot adds eight products per row and column, whatever the values") {
  random_stream r(9);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    if constexpr (has_pair_dot(A{})) {
      bool good = true;
      for (int t = 0; t < 200; ++t) {
        typename B::bytes first = B::random_bytes(r), last = B::random_bytes(r);
        std::array<std::int8_t, 16> x;
        for (auto& v : x) v = static_cast<std::int8_t>(r.below(256));
        if (t < 4) {  // extremes
          first.fill(static_cast<std::int8_t>(t & 1 ? -128 : 127));
          last = first;
          x.fill(static_cast<std::int8_t>(t & 2 ? -128 : 127));
        }
        const std::array<std::int32_t, 2> start{static_cast<std::int32_t>(r.next() >> 33),
                                                -static_cast<std::int32_t>(r.next() >> 33)};
        const auto columns = column_pair(x.data(), x.data() + 8, level);
        const auto low = load_bytes(first.data(), level), high = load_bytes(last.data(), level);
        auto rows01 = splat_pair(start.data(), level), rows23 = rows01;
        rows01 = pair_dot(rows01, row_pair<0>(low, high, level), columns, level);
        rows23 = pair_dot(rows23, row_pair<1>(low, high, level), columns, level);
        const typename B::ints sums[2] = {B::store(column_sums<0>(rows01, rows23, level)),
                                          B::store(column_sums<1>(rows01, rows23, level))};
        for (std::size_t c = 0; c < 2; ++c) {
          for (std::size_t row = 0; row < 4; ++row) {
            std::int64_t sum = start[c];
            for (std::size_t k = 0; k < 8; ++k) {
              sum += (k < 4 ? first : last)[4 * row + k % 4] * x[8 * c + k];
            }
            good = good && sums[c][row] == static_cast<std::int32_t>(sum);
          }
        }
      }
      CHECK_MESSAGE(good, "level " << std::string(A::name));
    }
  });
}

TEST_CASE("primitives: table look-up reads the low and the high half of every byte") {
  random_stream r(2);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    if constexpr (has_byte_lookup(A{})) {
      const auto codes = B::random_bytes(r);
      auto tables = B::random_bytes(r);
      const auto v = load_bytes(codes.data(), level);
      const auto check = [&](auto kind) {
        const auto table = load_bytes(tables.data(), level);
        const auto low = B::as_bytes(lookup_low(table, v, kind, level));
        const auto high = B::as_bytes(lookup_high(table, v, kind, level));
        bool good = true;
        for (std::size_t i = 0; i < B::size; ++i) {
          const auto code = static_cast<std::uint8_t>(codes[i]);
          good = good && low[i] == tables[i / 16 * 16 + code % 16];
          good = good && high[i] == tables[i / 16 * 16 + code / 16];
        }
        CAPTURE(std::string(A::name));
        CHECK(good);
      };
      check(simd::line_tables{});
      for (std::size_t i = 16; i < B::size; ++i) tables[i] = tables[i % 16];
      check(simd::one_table{});
    }
  });
}

TEST_CASE("primitives: a panel's sums come out in the order its columns went in") {
  random_stream r(3);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    constexpr auto parts = static_cast<std::size_t>(panel_vectors(A{})) / 4;
    std::array<typename B::bytes, 4> x;
    for (auto& k : x) k = B::random_bytes(r);
    x[0].fill(-128);
    typename B::bytes w = B::random_bytes(r);
    w[0] = w[1] = w[2] = w[3] = -128;
    std::array<std::int8_t, 4 * parts * B::size> panel;
    const auto v = [&](std::size_t k) { return load_bytes(x[k].data(), level); };
    store_panel(panel.data(), v(0), v(1), v(2), v(3), level);
    typename B::bytes stored = w;
    for (auto& b : stored) b = static_cast<std::int8_t>(b + weight_bias(level));
    std::array<std::uint8_t, parts * B::size> lanes_of_weights;
    store_panel_weights(lanes_of_weights.data(), load_bytes(stored.data(), level), level);
    bool good = true;
    for (std::size_t row = 0; row < B::lanes; ++row) {
      simd::ints_of<A> sum[4];
      for (std::size_t i = 0; i < 4; ++i) {
        sum[i] = splat_ints(static_cast<std::int32_t>(row), level);
        for (std::size_t part = 0; part < parts; ++part) {
          const auto columns = load_bytes(&panel[(4 * part + i) * B::size], level);
          const auto lane = panel_weight(&lanes_of_weights[part * B::size + 4 * row], level);
          sum[i] = panel_dot(sum[i], columns, lane, level);
        }
      }
      std::array<std::int32_t, B::size> sums;
      store_columns(sums.data(), sum, level);
      std::int32_t bias = static_cast<std::int32_t>(row);
      for (std::size_t k = 0; k < 4; ++k) bias += panel_bias(level) * w[4 * row + k];
      typename B::bytes narrowed;
      for (auto& s : sum) s = add(s, splat_ints(-bias, level), level);
      store_bytes(narrowed.data(), narrow(sum, simd::limits(5, -100, 90, level), level), level);
      for (std::size_t c = 0; c < B::size; ++c) {
        std::int32_t expected = 0;
        for (std::size_t k = 0; k < 4; ++k) expected += x[k][c] * w[4 * row + k];
        good = good && sums[c] == expected + bias;
        good = good && narrowed[c] == std::clamp(expected + 5, -100, 90);
      }
    }
    CAPTURE(std::string(A::name));
    CHECK(good);
  });
}

TEST_CASE("primitives: windows are the panel of four taps side by side") {
  random_stream r(5);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    constexpr auto vectors = static_cast<std::size_t>(panel_vectors(level));
    std::array<std::int8_t, B::size + 12> x;  // what may be read, and no more
    for (auto& b : x) b = static_cast<std::int8_t>(r.below(256));
    std::array<std::int8_t, vectors * B::size> panel, windows;
    const auto v = [&](std::size_t k) { return load_bytes(x.data() + k, level); };
    store_panel(panel.data(), v(0), v(1), v(2), v(3), level);
    if (panel_bias(level) != 0) {
      for (auto& b : x) b = static_cast<std::int8_t>(b ^ -128);
    }
    simd::bytes_of<A> w[vectors];
    simd::load_windows(w, x.data(), level);
    for (std::size_t i = 0; i < vectors; ++i) store_bytes(&windows[i * B::size], w[i], level);
    CAPTURE(std::string(A::name));
    CHECK(windows == panel);
  });
}

TEST_CASE("primitives: sixteen bytes each in turn") {
  random_stream r(6);
  for_each_kernel_level([&](auto level) {
    std::array<std::int8_t, 17> a, b;
    for (auto* x : {&a, &b}) {
      for (auto& v : *x) v = static_cast<std::int8_t>(r.below(256));
    }
    std::array<std::int8_t, 34> out{};
    zip_bytes(&a[1], &b[1], &out[1], level);
    bool good = out[0] == 0 && out[33] == 0;
    for (std::size_t i = 0; i < 16; ++i) {
      good = good && out[1 + 2 * i] == a[1 + i] && out[2 + 2 * i] == b[1 + i];
    }
    CAPTURE(std::string(decltype(level)::name));
    CHECK(good);
  });
}

TEST_CASE("primitives: integer lanes wrap, bytes add up, floats round") {
  random_stream r(4);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    CAPTURE(std::string(A::name));
    typename B::ints a, b;
    for (auto& x : a) x = static_cast<std::int32_t>(r.next());
    for (auto& x : b) x = static_cast<std::int32_t>(r.next());
    const auto va = load_ints(a.data(), level), vb = load_ints(b.data(), level);
    const auto sums = B::store(add(va, vb, level)), products = B::store(multiply(va, vb, level));
    typename B::floats m;
    for (auto& x : m) x = static_cast<float>(r.uniform() * 1e-7);
    typename B::floats y;
    store_floats(y.data(), scaled(va, load_floats(m.data(), level), level), level);
    typename B::floats rest, with_rest;
    for (auto& x : rest) x = static_cast<float>(r.uniform() * 1e9);
    store_floats(with_rest.data(),
                 scaled(va, load_floats(rest.data(), level), load_floats(m.data(), level), level),
                 level);
    const auto whole =
        B::store(simd::round(load_floats(y.data(), level), splat_floats(100.0F, level), level));
    for (std::size_t i = 0; i < B::lanes; ++i) {
      const auto x = static_cast<std::uint32_t>(a[i]), z = static_cast<std::uint32_t>(b[i]);
      CHECK(sums[i] == static_cast<std::int32_t>(x + z));
      CHECK(products[i] == static_cast<std::int32_t>(x * z));
      const float product = static_cast<float>(a[i]) * m[i];
      CHECK(y[i] == product);
      const float sum = static_cast<float>(a[i]) + rest[i];
      CHECK(with_rest[i] == sum * m[i]);
      CHECK(whole[i] == static_cast<std::int32_t>(std::nearbyint(std::min(product, 100.0F))));
    }
    auto total_of = splat_ints(0, level);
    std::int32_t expected = 0;
    for (int t = 0; t < 5; ++t) {
      const auto bytes = B::random_bytes(r);
      for (const auto x : bytes) expected += x;
      total_of = add_bytes(total_of, load_bytes(bytes.data(), level), level);
    }
    CHECK(total(total_of, 5, level) == expected);
  });
}

TEST_CASE("primitives: narrowing saturates at both ends") {
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    constexpr std::array<float, 8> values{-3e38F, -2147483648.0F, -32769.0F, -0.5F,
                                          0.5F,   1.5F,           32768.0F,  3e38F};
    for (const auto& [zero_point, lo, hi] :
         {std::array{0, -128, 127}, std::array{127, -128, 127}, std::array{-128, -5, 6}}) {
      const auto limits = simd::limits(zero_point, lo, hi, level);
      const auto highest = splat_floats(static_cast<float>(hi - zero_point), level);
      for (const float x : values) {
        const auto q = simd::round(splat_floats(x, level), highest, level);
        std::array<std::int8_t, B::lanes + 1> out;
        out.back() = 77;
        store_narrow(out.data(), q, limits, level);
        const double rounded = std::nearbyint(static_cast<double>(x)) + zero_point;
        const auto expected = static_cast<std::int8_t>(
            std::clamp(rounded, static_cast<double>(lo), static_cast<double>(hi)));
        for (std::size_t i = 0; i < B::lanes; ++i) CHECK(out[i] == expected);
        CHECK(out.back() == 77);
      }
    }
  });
}

#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
TEST_CASE("primitives: operands of tiles and their sums are brought into order") {
  using A = simd::amx_int8;
  random_stream r(11);
  std::array<std::int8_t, 16 * 80> in;
  for (auto& x : in) x = static_cast<std::int8_t>(r.below(256));
  bool good = true;
  for (int lines = 0; lines <= 4; ++lines) {
    for (int count = 0; count <= 16; ++count) {
      std::array<std::int8_t, 64> v;
      store_bytes(v.data(), load_lines(in.data(), 37, lines, count, A{}), A{});
      for (int i = 0; i < 64; ++i) {
        const bool is_read = i / 16 < lines && i % 16 < count;
        good = good && v[static_cast<std::size_t>(i)] ==
                           (is_read ? in[static_cast<std::size_t>(i / 16 * 37 + i % 16)] : 0);
      }
    }
  }
  CHECK(good);
  simd::bytes_of<A> v[16];
  for (int i = 0; i < 16; ++i) v[i] = load_bytes(in.data() + 64 * i, A{});
  transpose_lines(v, A{});
  for (int i = 0; i < 16; ++i) {
    std::array<std::int8_t, 64> out;
    store_bytes(out.data(), v[i], A{});
    for (int k = 0; k < 64; ++k) {
      good = good && out[static_cast<std::size_t>(k)] ==
                         in[static_cast<std::size_t>(64 * (k % 16) + k / 16 * 16 + i)];
    }
  }
  CHECK(good);
  for (int from = 0; from < 64; ++from) {
    for (int count = 0; count + from <= 64; ++count) {
      std::array<std::int8_t, 66> out{};
      store_bytes_of(out.data() + 1, load_bytes(in.data(), A{}), from, count, A{});
      for (int i = 0; i < 66; ++i) {
        const bool is_stored = i >= 1 && i <= count;
        good = good && out[static_cast<std::size_t>(i)] ==
                           (is_stored ? in[static_cast<std::size_t>(from + i - 1)] : 0);
      }
    }
  }
  CHECK(good);
  std::array<std::int32_t, 64 * 20> sums;
  for (auto& x : sums) x = static_cast<std::int32_t>(r.below(std::uint64_t{1} << 32));
  simd::ints_of<A> rows[4][4];
  load_panel_sums(sums.data() + 3, 20, rows, A{});
  for (int row = 0; row < 4; ++row) {
    std::array<std::int32_t, 64> columns;
    store_columns(columns.data(), rows[row], A{});
    for (int c = 0; c < 64; ++c) {
      good = good && columns[static_cast<std::size_t>(c)] ==
                         sums[static_cast<std::size_t>(20 * c + 3 + row)];
    }
  }
  CHECK(good);
  simd::ints_of<A> four[4];
  std::array<std::int32_t, 64> values;
  for (std::size_t i = 0; i < 64; ++i) values[i] = static_cast<std::int32_t>(r.below(400)) - 200;
  for (int i = 0; i < 4; ++i) four[i] = load_ints(values.data() + 16 * i, A{});
  std::array<std::int8_t, 64> narrowed;
  store_bytes(narrowed.data(), narrow_in_order(four, simd::limits(3, -90, 100, A{}), A{}), A{});
  for (std::size_t i = 0; i < 64; ++i) {
    good = good && narrowed[i] == std::clamp(values[i] + 3, -90, 100);
  }
  CHECK(good);
}
#endif

TEST_CASE("primitives: byte operations of pooling and packing") {
  random_stream r(5);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    using B = buffers<A>;
    const auto a = B::random_bytes(r), b = B::random_bytes(r);
    const auto va = load_bytes(a.data(), level), vb = load_bytes(b.data(), level);
    const auto larger = B::as_bytes(simd::max(va, vb, level));
    const auto flipped = B::as_bytes(flip_sign(va, level));
    const auto even = B::as_bytes(even_bytes(va, vb, level));
    const auto odd = B::as_bytes(odd_bytes(va, vb, level));
    const auto splat = B::as_bytes(splat_bytes(-77, level));
    bool good = true;
    for (std::size_t i = 0; i < B::size; ++i) {
      const auto& from = i < B::size / 2 ? a : b;
      const std::size_t at = i % (B::size / 2) * 2;
      good = good && larger[i] == std::max(a[i], b[i]) && splat[i] == -77;
      good = good && static_cast<std::uint8_t>(flipped[i]) == a[i] + 128;
      good = good && even[i] == from[at] && odd[i] == from[at + 1];
    }
    for (std::size_t from = 0; from < B::size; ++from) {
      const auto spliced = B::as_bytes(splice(va, vb, static_cast<index_t>(from), level));
      for (std::size_t k = 0; k < B::size; ++k) {
        good = good && spliced[k] == (k < from ? a[k] : b[k]);
      }
    }
    const std::int32_t ends[] = {0, 1, -1, 1 << 30, -(1 << 30), 2147483647, -2147483647 - 1};
    for (const std::int32_t x : ends) {
      for (const std::int32_t y : ends) {
        std::array<std::int32_t, B::lanes> out;
        store_ints(out.data(), max_ints(splat_ints(x, level), splat_ints(y, level), level), level);
        for (const std::int32_t z : out) good = good && z == std::max(x, y);
      }
    }
    CAPTURE(std::string(A::name));
    CHECK(good);
  });
}
