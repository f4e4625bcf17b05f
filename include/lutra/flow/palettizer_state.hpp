// lutra: palettizer_state.hpp - the palettes of a prepared palettizer, saved and loaded.
// SPDX-License-Identifier: Apache-2.0
//
// Bytes: magic, version, the number of palettes, and of each one the name of its weight, the squared error that
// clustering reached, shape, block, width, table type, codes, tables, scales, zero points, row scales, outliers.
// A checksum is at the end, so that a file cut off or changed anywhere is refused; what is read is checked all the
// same. Names of dtypes are written out. Linear in the bytes. Pure functions; thread-safe.
#pragma once

#include <cmath>
#include <cstdint>
#include <lutra/observe/state.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/spec.hpp>
#include <span>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct saved_palette {
  std::string weight;  // its name
  packed_palette palette;
  double inertia = 0;
};
// "weight 'fc.weight'", for messages.
inline std::string label(const saved_palette& s) {
  return "weight " + text_of(std::string_view(s.weight));
}

namespace palettizer_format {
inline constexpr std::uint32_t magic = 0x5A50544CU;  // "LTPZ"
inline constexpr std::uint32_t version = 1;

inline void write(state_writer& w, const std::vector<std::uint8_t>& bytes) {
  w.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
inline std::vector<std::uint8_t> read_bytes(state_reader& r) {
  std::vector<std::uint8_t> bytes(r.count(1));
  for (std::uint8_t& b : bytes) b = r.u8();
  return bytes;
}
inline dtype read_table_type(state_reader& r) {
  const std::string name = r.text();
  for (const dtype d :
       {dtype::int8, dtype::uint8, dtype::float8_e4m3fn, dtype::float8_e5m2, dtype::float32}) {
    if (name == name_of(d)) return d;
  }
  r.corrupt("not a type of tables", text_of(std::string_view(name)),
            "int8, uint8, float8_e4m3fn, float8_e5m2, float32");
}
}  // namespace palettizer_format

// Raises unsupported for a transposed_palette(): what it was made of is saved.
inline void save_palette(state_writer& w, const packed_palette& p) {
  namespace format = palettizer_format;
  if (p.transposed) {
    raise(errc::unsupported, "a transposed palette is not saved", "save_palette",
          text_of(p.weight_shape), "the palette that it was made of");
  }
  w.extents(p.weight_shape);
  w.extents(p.block);
  w.u8(static_cast<std::uint8_t>(p.n_bits));
  w.text(name_of(p.lut_dtype));
  format::write(w, p.codes);
  format::write(w, p.lut_codes);
  w.f32s(p.lut);
  w.f32s(p.scale);
  w.u64(p.zero_point.size());
  for (const std::int32_t z : p.zero_point) w.i64(z);
  w.f32s(p.row_scale);
  w.u64(p.outliers.position.size());
  for (const index_t at : p.outliers.position) w.i64(at);
  w.f32s(p.outliers.value);
}
// Raises what check(packed_palette) does.
inline packed_palette load_palette(state_reader& r, const std::string& where) {
  namespace format = palettizer_format;
  packed_palette p;
  p.weight_shape = r.extents();
  p.block = r.extents();
  p.n_bits = r.u8();
  p.lut_dtype = format::read_table_type(r);
  p.codes = format::read_bytes(r);
  p.lut_codes = format::read_bytes(r);
  p.lut = r.f32s();
  p.scale = r.f32s();
  p.zero_point.resize(r.count(8));
  for (std::int32_t& z : p.zero_point) {
    const std::int64_t read = r.i64();
    z = static_cast<std::int32_t>(read);
    if (z != read) r.corrupt("zero point out of range", text_of(read), "32 bits");
  }
  p.row_scale = r.f32s();
  p.outliers.position.resize(r.count(8));
  for (index_t& at : p.outliers.position) at = static_cast<index_t>(r.i64());
  p.outliers.value = r.f32s();
  check(p, where);
  return p;
}

inline std::vector<std::uint8_t> save_palettes(std::span<const saved_palette> palettes) {
  namespace format = palettizer_format;
  state_writer w;
  w.u32(format::magic);
  w.u32(format::version);
  w.u64(palettes.size());
  for (const saved_palette& s : palettes) {
    const std::string name = label(s);
    const error_place here(name);
    w.text(s.weight);
    w.f64(s.inertia);
    save_palette(w, s.palette);
  }
  return sealed(std::move(w));
}
// Raises corrupt_data, or unsupported for another version.
inline std::vector<saved_palette> load_palettes(std::span<const std::uint8_t> bytes,
                                                const std::string& where) {
  namespace format = palettizer_format;
  state_reader head(bytes, where);
  if (const std::uint32_t m = head.u32(); m != format::magic) {
    head.corrupt("not a saved palettizer", text_of(m), text_of(format::magic));
  }
  head.version(format::version);
  state_reader r(unsealed(bytes, where), where);
  r.u64();                                           // both again: the seal covers them
  std::vector<saved_palette> palettes(r.count(90));  // bytes of the smallest one
  for (saved_palette& s : palettes) {
    s.weight = r.text();
    const std::string name = label(s);
    const error_place here(name);
    s.inertia = r.f64();
    if (!(s.inertia >= 0 && std::isfinite(s.inertia))) {
      r.corrupt("not a squared error", text_of(s.inertia), "finite and >= 0");
    }
    s.palette = load_palette(r, where);
  }
  r.expect_end();
  return palettes;
}

// Whether a palette is one that `spec` asks for on a weight. Raises incompatible.
inline void check_saved(const saved_palette& s, const std::string& weight, const shape& extents,
                        const palettization_spec& spec, const char* where) {
  const auto differs = [&](const char* what, std::string saved, std::string now) {
    if (saved == now) return;
    raise(errc::incompatible, what,
          std::string(where) + ", weight " + text_of(std::string_view(weight)), std::move(saved),
          std::move(now));
  };
  const packed_palette& p = s.palette;
  differs("the saved state belongs to another weight", text_of(std::string_view(s.weight)),
          text_of(std::string_view(weight)));
  differs("the saved palette has another shape", text_of(p.weight_shape), text_of(extents));
  differs("the saved palette has another width", text_of(p.n_bits), text_of(spec.n_bits));
  const dtype table = spec.lut_qspec.enabled ? spec.lut_qspec.dtype : dtype::float32;
  differs("the saved palette has tables of another type", std::string(name_of(p.lut_dtype)),
          std::string(name_of(table)));
  const auto yes_or_no = [](bool b) { return std::string(b ? "some" : "none"); };
  if (!p.outliers.position.empty()) {
    differs("the saved palette has outliers", "some", yes_or_no(spec.outliers.fraction > 0));
  }
  if (spec.lut_qspec.enabled && is_integer(spec.lut_qspec.dtype) &&
      spec.lut_qspec.qscheme != qscheme::asymmetric) {
    const std::int32_t fixed = spec.lut_qspec.dtype == dtype::uint8 ? 128 : 0;
    for (const std::int32_t z : p.zero_point) {
      differs("the saved palette has tables of another scheme", "zero point " + text_of(z),
              "zero point " + text_of(fixed));
    }
  }
  const block_grid grid = grid_of(spec.granularity.with_axis(0), extents, where, spec.short_groups);
  differs("the saved palette has other groups", text_of(p.block), text_of(grid.block()));
  const bool scaled = !p.row_scale.empty();
  if (extents.size() > 0 && scaled != spec.enable_per_channel_scale) {
    differs("the saved palette differs in row scales", scaled ? "row scales" : "none",
            scaled ? "none" : "row scales");
  }
}

}  // namespace lutra::inline LUTRA_ABI
