// lutra: saved_parameters.hpp - quantization parameters, granularities and affine weights as bytes, and back.
// SPDX-License-Identifier: Apache-2.0
//
// A part of ir/saved.hpp, which surrounds it with version and checksum. Names of dtypes are written out. Every
// field is checked on reading: what is read is what was written, or an error. Pure functions; thread-safe.
#pragma once

#include <algorithm>
#include <lutra/observe/state.hpp>
#include <lutra/pack/affine_constant.hpp>

namespace lutra::inline LUTRA_ABI::ir {

namespace saved_format {
inline void write(state_writer& w, const granularity& g) {
  w.u8(static_cast<std::uint8_t>(g.kind()));
  w.u8(g.axis() ? 1 : 0);
  w.i64(g.axis().value_or(0));
  w.u8(g.is_tuple() ? 1 : 0);
  w.i64(g.block_size());
  w.extents(g.is_tuple() ? g.tuple() : shape{});
}
inline granularity read_granularity(state_reader& r) {
  const std::uint8_t kind = r.u8();
  const bool has_axis = r.flag();
  const std::int64_t given = r.i64();
  const bool is_tuple = r.flag();
  const std::int64_t size = r.i64();
  const bool sized = size > 0 && size <= max_size;
  const shape tuple = r.extents();
  const auto axis = has_axis ? std::optional<int>(static_cast<int>(given)) : std::nullopt;
  granularity g;
  if (kind == static_cast<std::uint8_t>(granularity_kind::per_channel)) {
    g = granularity::per_channel(axis);
  } else if (kind == static_cast<std::uint8_t>(granularity_kind::per_grouped_channel) && sized) {
    g = granularity::per_grouped_channel(size, axis);
  } else if (kind == static_cast<std::uint8_t>(granularity_kind::per_block) && is_tuple) {
    std::vector<index_t> sizes(tuple.begin(), tuple.end());
    std::ranges::replace(sizes, 0, -1);
    g = granularity::per_block(std::span<const index_t>(sizes));
  } else if (kind == static_cast<std::uint8_t>(granularity_kind::per_block) && sized) {
    g = granularity::per_block(size, axis);
  }
  // Whatever else was there, the granularity does not have it.
  if (static_cast<std::uint8_t>(g.kind()) != kind || g.axis().value_or(0) != given ||
      g.axis().has_value() != has_axis || g.is_tuple() != is_tuple || g.block_size() != size ||
      !((is_tuple ? g.tuple() : shape{}) == tuple)) {
    r.corrupt("not a granularity", text_of(int{kind}), "kind, axis and sizes that fit");
  }
  return g;
}

inline void write(state_writer& w, const qparams& q) {
  w.text(name_of(q.dtype));
  w.u8(q.qformulation == qformulation::minval ? 1 : 0);
  w.f32(q.quant_min);
  w.f32(q.quant_max);
  write(w, q.granularity);
  w.f32s(q.scale);
  w.u64(q.zero_point.size());
  for (const std::int32_t z : q.zero_point) w.u32(static_cast<std::uint32_t>(z));
  w.f32s(q.minval);
}
// Names as they are written only, no aliases.
inline dtype read_dtype(state_reader& r) {
  const std::string name = r.text();
  for (int i = 0; i <= static_cast<int>(dtype::float32); ++i) {
    if (name_of(static_cast<dtype>(i)) == name) return static_cast<dtype>(i);
  }
  r.corrupt("not a dtype", text_of(std::string_view(name)), "a name of a dtype");
}
inline qparams read_fields(state_reader& r) {
  qparams q;
  q.dtype = read_dtype(r);
  q.qformulation = r.flag() ? qformulation::minval : qformulation::zp;
  q.quant_min = r.f32();
  q.quant_max = r.f32();
  q.granularity = read_granularity(r);
  q.scale = r.f32s();
  q.zero_point.resize(r.count(4));
  for (std::int32_t& z : q.zero_point) z = static_cast<std::int32_t>(r.u32());
  q.minval = r.f32s();
  return q;
}
inline qparams read_qparams(state_reader& r, const std::string& where) {
  qparams q = read_fields(r);
  check(q, where);
  return q;
}

// Zero points take a byte each, and none if all are 0; else as many bytes as bytes() says, and what describes them.
inline void write(state_writer& w, const affine_constant& c) {
  w.extents(c.extents);
  qparams q = c.parameters;
  const std::vector<std::int32_t> zero = std::exchange(q.zero_point, {});
  write(w, q);
  const bool stored = std::ranges::any_of(zero, [](std::int32_t z) { return z != 0; });
  w.u8(stored ? 1 : 0);
  for (const std::int32_t z : stored ? zero : std::vector<std::int32_t>()) {
    w.u8(static_cast<std::uint8_t>(z));
  }
  w.text({reinterpret_cast<const char*>(c.codes.data()), c.codes.size()});
}
// Raises what check(affine_constant) does, too.
inline affine_constant read_affine(state_reader& r, const std::string& where) {
  affine_constant c;
  c.extents = r.extents();
  c.parameters = read_fields(r);
  qparams& q = c.parameters;
  if (!q.zero_point.empty())
    r.corrupt("zero points are stored as bytes", text_of(q.zero_point.size()) + " others",
              "none here");
  const bool stored = r.flag();
  const bool offsets = is_integer(q.dtype) && q.qformulation == qformulation::zp;
  if (stored && (!offsets || q.scale.size() > r.left())) {
    r.corrupt("zero points where there are none", text_of(q.scale.size()), "none");
  }
  if (offsets) q.zero_point.resize(q.scale.size());
  for (std::int32_t& z : q.zero_point) {
    if (!stored) break;
    const std::uint8_t byte = r.u8();
    z = info(q.dtype).is_signed ? std::int32_t{static_cast<std::int8_t>(byte)} : std::int32_t{byte};
  }
  const std::string codes = r.text();
  c.codes.assign(codes.begin(), codes.end());
  check(c, where);
  return c;
}
}  // namespace saved_format

}  // namespace lutra::inline LUTRA_ABI::ir
