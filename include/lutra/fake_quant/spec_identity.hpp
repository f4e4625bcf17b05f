// lutra: spec_identity.hpp - what a fake-quantizer's spec and target are, as bytes; how two of them differ, in words.
// SPDX-License-Identifier: Apache-2.0
//
// The bytes stand in every saved state (fake_quantizer.hpp), so their order and meaning never change.
#pragma once

#include <array>
#include <bit>
#include <lutra/affine/spec.hpp>
#include <lutra/observe/state.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// What a fake-quantizer stands behind. Decides what the observer key "default" means: "static" for
// weights and tables, "moving_average" for activations.
enum class target : unsigned char { weight, activation, lut };

constexpr std::string_view observer_key_of(const quantization_spec& s, target t) noexcept {
  if (s.qparam_calculator != "default") return s.qparam_calculator;
  return t == target::activation ? "moving_average" : "static";
}

inline void save_identity(state_writer& w, const quantization_spec& s, target t) {
  w.u8(static_cast<std::uint8_t>(t));
  w.text(observer_key_of(s, t));
  w.text(name_of(s.dtype));
  w.text(name_of(s.qscheme));
  w.u8(static_cast<std::uint8_t>(s.qformulation));
  w.text(text_of(s.granularity));
  w.f32(static_cast<float>(s.averaging_constant));
  for (const auto& end : {s.float_range.lo, s.float_range.hi}) {
    w.u8(end ? 1 : 0);
    w.f32(end.value_or(0.0F));
  }
  w.text(name_of(scale_dtype_of(s)));
  w.u8(static_cast<std::uint8_t>(s.scale_rules.e8m0));
  w.u8(s.scale_rules.no_clipping ? 1 : 0);
  w.u8(static_cast<std::uint8_t>(s.scale_rules.floor));
  w.text(name_of(s.scale_rules.scale_type));
  w.u8(s.short_groups == short_groups::allow ? 1 : 0);
}

// One field, by name and value, of two identities that differ there.
struct identity_difference {
  std::string theirs;
  std::string mine;
};

// The first field that differs; if none does, both were read to the end of what save_identity() wrote. Raises
// corrupt_data for bytes that it cannot have written.
inline std::optional<identity_difference> difference_of(state_reader& theirs, state_reader& mine) {
  std::optional<identity_difference> found;
  const auto field = [&](std::string_view name, const auto& read) {
    if (found) return;
    const std::string a = read(theirs);
    const std::string b = read(mine);
    const std::string begin = std::string(name) + " ";
    if (a != b) found = identity_difference{begin + a, begin + b};
  };
  const auto one_of = [](auto... names) {
    return [names...](state_reader& r) {
      const std::array<std::string_view, sizeof...(names)> all{names...};
      const std::size_t i = r.u8();
      return i < all.size() ? std::string(all[i]) : text_of(i);
    };
  };
  const auto text = [](state_reader& r) { return r.text(); };
  const auto number = [](state_reader& r) { return text_of(r.f32()); };
  const auto end = [](state_reader& r) {
    const bool fixed = r.flag();
    const float x = r.f32();
    if (!fixed && std::bit_cast<std::uint32_t>(x) != 0) {
      r.corrupt("a free end of a range has a value", text_of(x), "0");
    }
    return fixed ? text_of(x) : std::string("free");
  };
  field("target", one_of("weight", "activation", "lut"));
  field("qparam_calculator", text);
  field("dtype", text);
  field("qscheme", text);
  field("qformulation", one_of("zp", "minval"));
  field("granularity", text);
  field("averaging_constant", number);
  field("float_range.lo", end);
  field("float_range.hi", end);
  field("scale_dtype", text);
  field("scale_rules.e8m0", one_of("floor", "ceil", "even", "up"));
  field("scale_rules.no_clipping", one_of("false", "true"));
  field("scale_rules.floor", one_of("absolute", "relative"));
  field("scale_rules.scale_type", text);
  field("short_groups", one_of("forbid", "allow"));
  return found;
}

// The same of specs and targets that differ, in a field that is not saved too.
inline identity_difference difference_of(const quantization_spec& theirs, target their_target,
                                         const quantization_spec& mine, target my_target) {
  state_writer a;
  state_writer b;
  save_identity(a, theirs, their_target);
  save_identity(b, mine, my_target);
  state_reader from_a(a.bytes(), "difference_of");
  state_reader from_b(b.bytes(), "difference_of");
  if (auto found = difference_of(from_a, from_b)) return *std::move(found);
  const auto as_written = [&](const char* name, const auto& write) {
    return identity_difference{name + write(theirs), name + write(mine)};
  };
  if (theirs.enabled != mine.enabled) {
    return as_written("enabled ", [](const auto& s) { return text_of(s.enabled); });
  }
  if (theirs.averaging_constant != mine.averaging_constant) {  // but not as floats
    return as_written("averaging_constant ",
                      [](const auto& s) { return text_of(s.averaging_constant); });
  }
  if (theirs.scale_dtype != mine.scale_dtype) {  // one of them absent, or a default
    return as_written("scale_dtype ", [](const auto& s) {
      return std::string(s.scale_dtype ? name_of(*s.scale_dtype) : "absent");
    });
  }
  return as_written("qparam_calculator ",
                    [](const auto& s) { return std::string(s.qparam_calculator); });
}

// Raise incompatible, naming the first field, if a saved or another spec or target differs from mine. What was saved is
// read to its end.
inline void check_identity(state_reader& saved, const quantization_spec& mine, target my_target,
                           std::string_view where) {
  state_writer written;
  save_identity(written, mine, my_target);
  state_reader expected(written.bytes(), where);
  if (const auto difference = difference_of(saved, expected)) {
    raise(errc::incompatible, "state belongs to a fake-quantizer with another spec or target",
          std::string(where), difference->theirs, difference->mine);
  }
}
inline void check_identity(const quantization_spec& theirs, target their_target,
                           const quantization_spec& mine, target my_target,
                           std::string_view where) {
  if (theirs == mine && their_target == my_target) return;
  const auto [other, own] = difference_of(theirs, their_target, mine, my_target);
  raise(errc::incompatible, "fake-quantizers have different specs or targets", std::string(where),
        other, own);
}

}  // namespace lutra::inline LUTRA_ABI
