// lutra: saved.hpp - the state of one observer as bytes to keep or to send: versioned and sealed.
// SPDX-License-Identifier: Apache-2.0
//
// An observer's own save() writes fields that its load() checks against each other; a damaged minimum can still
// look like one. Here a version, the observer's key, what its spec asks of it and a checksum surround them. A
// fake-quantizer's save() does the same for its observer, with spec and switches.
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/observe/observer.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI {

inline constexpr std::uint32_t saved_observer_magic = 0x424F544CU;  // "LTOB"
inline constexpr std::uint32_t saved_observer_version = 3;
// Without the grid of the units (observe/seen_units.hpp).
inline constexpr std::uint32_t saved_observer_oldest = 2;

// What of a spec decides how tensors are observed; the averaging constant as a float.
inline std::string observation_of(const quantization_spec& spec) {
  const auto end = [](const std::optional<float>& x) { return x ? text_of(*x) : "free"; };
  return text_of(spec.granularity) +
         (spec.short_groups == short_groups::allow ? ", short groups" : "") + ", float_range " +
         end(spec.float_range.lo) + " .. " + end(spec.float_range.hi) + ", averaging_constant " +
         text_of(static_cast<float>(spec.averaging_constant));
}

// `key` says what kind it is, as for make_observer; `spec` is the one it was made with.
template <observer O>
std::vector<std::uint8_t> save_observer(const O& o, std::string_view key,
                                        const quantization_spec& spec) {
  state_writer w;
  w.u32(saved_observer_magic);
  w.u32(saved_observer_version);
  w.text(key);
  w.text(observation_of(spec));
  o.save(w);
  return sealed(std::move(w));
}

// Raises corrupt_data for bytes that save_observer cannot have written, unsupported for another version, incompatible
// for another key or for a spec that observes otherwise; o is unchanged then.
template <observer O>
void load_observer(O& o, std::span<const std::uint8_t> bytes, std::string_view key,
                   const quantization_spec& spec) {
  const char* where = "load_observer";
  state_reader start(bytes, where);
  if (const std::uint32_t magic = start.u32(); magic != saved_observer_magic) {
    start.corrupt("magic number", text_of(magic), text_of(saved_observer_magic));
  }
  if (const std::uint32_t v = start.u32();
      v < saved_observer_oldest || v > saved_observer_version) {
    raise(errc::unsupported, "state has another version", where, text_of(v),
          range_text(saved_observer_oldest, saved_observer_version));
  }
  state_reader in(unsealed(bytes, where), where);
  in.u64();  // both again: the seal covers them
  if (const std::string saved = in.text(); saved != key) {
    raise(errc::incompatible, "state of another kind of observer", where, text_of(saved),
          text_of(key));
  }
  if (const std::string saved = in.text(); saved != observation_of(spec)) {
    raise(errc::incompatible, "state of an observer with another spec", where, saved,
          observation_of(spec));
  }
  O loaded = o;
  loaded.load(in);
  in.expect_end();
  o = std::move(loaded);
}

}  // namespace lutra::inline LUTRA_ABI
