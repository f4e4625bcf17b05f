// The contract of a mergeable observer: 64 shards merged in 64 random orders and trees give the bytes of
// one pass; what cannot be merged says so; a state survives save and load, and no damage to it does.
#pragma once

#include <lutra/core/random.hpp>
#include <lutra/observe/observer.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "errors.hpp"

template <lutra::observer O> std::vector<std::uint8_t> bytes_of(const O& o) {
  lutra::state_writer w;
  o.save(w);
  return w.take();
}

// Shards of different shapes and scales, some with NaN, some empty of finite values.
inline std::vector<std::vector<float>> shards_of(lutra::index_t columns, std::uint64_t seed) {
  lutra::random_stream r(seed);
  std::vector<std::vector<float>> shards(64);
  for (auto& s : shards) {
    const double scale = std::bit_cast<double>((std::uint64_t{1013} + r.below(20)) << 52);
    const double shift = r.uniform() < 0.3 ? 3.0 * r.normal() : 0.0;
    s.resize(static_cast<std::size_t>(columns) * (1 + r.below(90)));
    for (float& v : s) v = static_cast<float>(scale * r.normal() + shift);
    if (r.uniform() < 0.2) s[r.below(s.size())] = std::numeric_limits<float>::quiet_NaN();
    if (r.uniform() < 0.1)
      s.assign(static_cast<std::size_t>(columns), std::numeric_limits<float>::infinity());
    if (r.uniform() < 0.1)
      s.assign(static_cast<std::size_t>(columns), r.uniform() < 0.5 ? -0.0F : 0.0F);
  }
  return shards;
}

// make() gives a fresh observer; tensors have `columns` columns.
template <class Make> void check_merges(Make&& make, lutra::index_t columns) {
  const auto shards = shards_of(columns, 11);
  const auto observe = [&](auto& o, const std::vector<float>& s) {
    const auto rows = static_cast<lutra::index_t>(s.size()) / columns;
    o.observe(lutra::tensor_view<const float>(s.data(), {rows, columns}));
  };
  auto one_pass = make();
  for (const auto& s : shards) observe(one_pass, s);
  const std::vector<std::uint8_t> expected = bytes_of(one_pass);
  lutra::random_stream r(12);
  for (int trial = 0; trial < 64; ++trial) {
    std::vector<decltype(make())> parts;
    for (const auto& s : shards) {
      parts.push_back(make());
      observe(parts.back(), s);
    }
    parts.push_back(make());  // one that saw nothing
    while (parts.size() > 1) {
      const std::size_t from = r.below(parts.size());
      std::swap(parts[from], parts.back());
      const auto other = std::move(parts.back());
      parts.pop_back();
      parts[r.below(parts.size())].merge(other);
    }
    CHECK(bytes_of(parts[0]) == expected);
    CHECK(parts[0].samples() == one_pass.samples());
    CHECK(parts[0].nonfinite() == one_pass.nonfinite());
  }
}

// Save, load, and every single-byte truncation and many byte changes of the saved state: an error with a
// message, or a state that can be saved again; the target is unchanged after an error.
template <class Make>
void check_saved(Make&& make, const std::vector<float>& x, lutra::index_t columns) {
  auto o = make();
  const auto rows = static_cast<lutra::index_t>(x.size()) / columns;
  o.observe(lutra::tensor_view<const float>(x.data(), {rows, columns}));
  const std::vector<std::uint8_t> bytes = bytes_of(o);
  auto loaded = make();
  lutra::state_reader whole(bytes, "test");
  loaded.load(whole);
  whole.expect_end();
  CHECK(bytes_of(loaded) == bytes);
  CHECK(loaded.samples() == o.samples());

  auto target = make();
  const std::vector<std::uint8_t> fresh = bytes_of(target);
  const std::size_t step = std::max<std::size_t>(1, bytes.size() / 200);
  for (std::size_t n = 0; n < bytes.size(); n += step) {
    lutra::state_reader cut(std::span<const std::uint8_t>(bytes).first(n), "test");
    CHECK_ERROR(target.load(cut), corrupt_data, "test");
    CHECK(bytes_of(target) == fresh);
  }
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    std::vector<std::uint8_t> damaged = bytes;
    damaged[at] ^= 0x84;
    lutra::state_reader in(damaged, "test");
    auto into = make();
    try {
      into.load(in);
    } catch (const lutra::error& e) {
      const bool expected = e.code() == lutra::errc::corrupt_data ||
                            e.code() == lutra::errc::unsupported ||
                            e.code() == lutra::errc::incompatible;
      INFO(std::string(e.what()));
      CHECK(expected);
      CHECK(bytes_of(into) == fresh);
    }
  }
}
