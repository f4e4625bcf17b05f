// lutra: qat_schedule.hpp - at which training step observers and fake-quantization turn on and off.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <lutra/core/error.hpp>
#include <optional>

namespace lutra::inline LUTRA_ABI {

// An aggregate; steps count from 0. Observers run in [enable_observer, disable_observer), fake-quantization
// from enable_fake_quant on.
struct qat_schedule {
  std::int64_t enable_observer = 0;
  std::int64_t enable_fake_quant = 0;
  std::optional<std::int64_t> disable_observer{};  // absent: never

  friend bool operator==(const qat_schedule&, const qat_schedule&) = default;
};

struct qat_state {
  bool observer = true;
  bool fake_quant = true;
  friend bool operator==(const qat_state&, const qat_state&) = default;
};

constexpr bool is_consistent(const qat_schedule& s) noexcept {
  return s.enable_observer >= 0 && s.enable_fake_quant >= s.enable_observer &&
         (!s.disable_observer ||
          (*s.disable_observer > s.enable_observer && *s.disable_observer >= s.enable_fake_quant));
}

// Raises invalid_argument unless 0 <= enable_observer <= enable_fake_quant <= disable_observer and
// enable_observer < disable_observer.
inline void check(const qat_schedule& s, std::string_view where) {
  const auto bad = [&](const char* what, std::int64_t value, std::string allowed) {
    raise(errc::invalid_argument, what, std::string(where), text_of(value), std::move(allowed));
  };
  if (s.enable_observer < 0) bad("enable_observer out of range", s.enable_observer, ">= 0");
  if (s.enable_fake_quant < s.enable_observer) {
    bad("enable_fake_quant comes before enable_observer", s.enable_fake_quant,
        ">= " + text_of(s.enable_observer));
  }
  if (!s.disable_observer) return;
  if (*s.disable_observer <= s.enable_observer) {
    bad("disable_observer does not come after enable_observer", *s.disable_observer,
        "> " + text_of(s.enable_observer));
  }
  if (*s.disable_observer < s.enable_fake_quant) {
    bad("disable_observer comes before enable_fake_quant", *s.disable_observer,
        ">= " + text_of(s.enable_fake_quant));
  }
}

constexpr qat_state state_at(const qat_schedule& s, std::int64_t step) noexcept {
  return {step >= s.enable_observer && (!s.disable_observer || step < *s.disable_observer),
          step >= s.enable_fake_quant};
}

}  // namespace lutra::inline LUTRA_ABI
