// lutra: quantizer_state.hpp - what a quantizer learns: its fake-quantizers, saved and loaded.
// SPDX-License-Identifier: Apache-2.0
//
// Bytes: magic, version, the number of fake-quantizers, and of each one the name of its group, whether it was
// calibrated, and what fake_quantizer::save() gives, schedule and steps included. Version 1 had one count of
// steps in front and no schedules; it is still read. Schedules are set when the graph is prepared, from the
// config; the saved ones must be the same. Linear in the bytes. Value type.
#pragma once

#include <cstdint>
#include <exception>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/flow/value_sample.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct quantizer_state {
  std::vector<fake_quantizer> fake_quants;  // by group of the plan
  std::vector<char> calibrated;             // by group: saw data inside a scope

  // One for every group, with its schedule left aside.
  static quantizer_state of(const quantization_plan& plan) {
    quantizer_state made;
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      const group_settings& g = plan.settings_of(index_t(i));
      fake_quantizer& fq =
          made.fake_quants.emplace_back(g.spec, g.weight ? target::weight : target::activation);
      fq.set_schedule(g.schedule);
      fq.set_switches(true, true);
    }
    made.calibrated.assign(made.fake_quants.size(), 0);
    return made;
  }
  // They all count the same steps; 0 without any.
  std::int64_t steps() const noexcept {
    return fake_quants.empty() ? 0 : fake_quants.front().steps();
  }
  // Observers of weights that were observed stay off: weights do not change.
  void switch_all(bool observer, bool fake_quant) noexcept {
    for (fake_quantizer& fq : fake_quants) {
      fq.set_switches(observer && !(fq.target() == target::weight && fq.initialized()), fake_quant);
    }
  }
  void follow_schedules() noexcept {
    for (fake_quantizer& fq : fake_quants) {
      fq.set_switches(true, true);
      fq.follow_schedule();
    }
  }
  // Raises invalid_state naming the groups of activations that saw no data inside a scope.
  void refuse_uncalibrated(const quantization_plan& plan, const char* where) const {
    std::string missing;
    for (std::size_t i = 0; i < fake_quants.size(); ++i) {
      if (plan.settings_of(index_t(i)).weight || fake_quants[i].disabled() || calibrated[i] != 0) {
        continue;
      }
      missing += (missing.empty() ? "" : ", ") + plan.group_name(index_t(i));
    }
    if (missing.empty()) return;
    raise(errc::invalid_state, "activations saw no calibration batch", where, std::move(missing),
          "a batch run inside calibration_mode(), or allow_uncalibrated");
  }
};

// What one batch changes, undone if an exception leaves the scope: of every fake-quantizer, as it was before the batch
// reached it, and of its sample. keep() costs a copy of both, the first time; memory likewise. Of averages
// that is below 1 % of observing, of histograms the more the fewer elements a unit has: measured for 64 images, 1 % for
// 16 channels of 28 x 28, 3 % for 32 of 14 x 14, 23 % for 64 of 7 x 7, and of one element six times (128 channels) to
// 20 times (1024: 7 ms) what observing costs.
class batch_undo {
 public:
  // State and samples are those of the same groups. `current` is this object while it lives.
  batch_undo(quantizer_state& state, std::vector<value_sample>& samples, batch_undo*& current)
      : state_(state),
        samples_(samples),
        current_(current),
        before_(current),
        kept_(samples.size()) {
    current = this;
  }
  batch_undo(const batch_undo&) = delete;
  batch_undo& operator=(const batch_undo&) = delete;
  ~batch_undo() {
    current_ = before_;
    if (std::uncaught_exceptions() == exceptions_before_) return;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (!kept_[i]) continue;
      state_.fake_quants[i] = std::move(kept_[i]->fake_quant);
      samples_[i] = std::move(kept_[i]->sample);
      state_.calibrated[i] = kept_[i]->calibrated;
    }
  }
  // To be called before group `i` changes; a batch around this one keeps it too.
  void keep(std::size_t i) {
    if (before_ != nullptr) before_->keep(i);
    if (!kept_[i]) kept_[i].emplace(state_.fake_quants[i], samples_[i], state_.calibrated[i]);
  }

 private:
  struct group {
    group(const fake_quantizer& fq, const value_sample& s, char c)
        : fake_quant(fq), sample(s), calibrated(c) {}
    fake_quantizer fake_quant;
    value_sample sample;
    char calibrated;
  };
  static_assert(std::is_nothrow_move_assignable_v<fake_quantizer> &&
                std::is_nothrow_move_assignable_v<value_sample>);
  quantizer_state& state_;
  std::vector<value_sample>& samples_;
  batch_undo*& current_;
  batch_undo* before_;
  std::vector<std::optional<group>> kept_;
  int exceptions_before_ = std::uncaught_exceptions();
};

// Fake-quant off while it lives, for any other switches.
class fake_quant_pause {
 public:
  explicit fake_quant_pause(fake_quantizer* fq) noexcept
      : paused_(fq), scheduled_(fq != nullptr && fq->follows_schedule()) {
    if (fq != nullptr) fq->set_switches(fq->observer_enabled(), false);
  }
  fake_quant_pause(const fake_quant_pause&) = delete;
  fake_quant_pause& operator=(const fake_quant_pause&) = delete;
  ~fake_quant_pause() {
    if (paused_ == nullptr) return;
    paused_->set_switches(paused_->observer_enabled(), true);
    if (scheduled_) paused_->follow_schedule();
  }

 private:
  fake_quantizer* paused_;
  bool scheduled_;
};

namespace quantizer_format {
inline constexpr std::uint32_t magic = 0x5A51544CU;  // "LTQZ"
inline constexpr std::uint32_t version = 2;
inline constexpr std::uint32_t common_steps = 1;  // the version with one count of steps
}  // namespace quantizer_format

inline std::vector<std::uint8_t> save_state(const quantizer_state& state,
                                            const quantization_plan& plan) {
  state_writer w;
  w.u32(quantizer_format::magic);
  w.u32(quantizer_format::version);
  w.u64(state.fake_quants.size());
  for (std::size_t i = 0; i < state.fake_quants.size(); ++i) {
    const std::vector<std::uint8_t> bytes = state.fake_quants[i].save();
    w.text(plan.group_name(index_t(i)));
    w.u8(state.calibrated[i] != 0 ? 1 : 0);
    w.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return w.take();
}

// Reads one fake-quantizer of a plan group. `steps` is what version 1 says, absent in others.
inline void load_group(state_reader& r, const quantization_plan& plan, index_t group,
                       std::optional<std::int64_t> steps, fake_quantizer& fq, const char* where) {
  const std::optional<qat_schedule>& schedule = plan.settings_of(group).schedule;
  const std::string own = r.text();
  fq.load({reinterpret_cast<const std::uint8_t*>(own.data()), own.size()});
  if (steps) {
    if (fq.schedule()) r.corrupt("a fake-quantizer with a schedule of its own", "", "none");
    fq.set_schedule(schedule);
    fq.set_steps(*steps);
  } else if (fq.schedule() != schedule) {
    raise(errc::incompatible, "the state was saved with another qat_schedule", where,
          text_of(std::string_view(plan.group_name(group))));
  }
}

// A state of the same plan as `now`, from bytes of save_state(). Raises corrupt_data, unsupported for another
// version, incompatible for another plan or schedule.
inline quantizer_state load_state(std::span<const std::uint8_t> bytes,
                                  const quantization_plan& plan, const quantizer_state& now,
                                  const char* where) {
  namespace format = quantizer_format;
  state_reader r(bytes, where);
  if (const std::uint32_t m = r.u32(); m != format::magic) {
    r.corrupt("magic number", text_of(m), text_of(format::magic));
  }
  const std::uint32_t version = r.u32();
  if (version != format::version && version != format::common_steps) {
    raise(errc::unsupported, "state has another version", where, text_of(version),
          range_text(format::common_steps, format::version));
  }
  std::optional<std::int64_t> steps;
  if (version == format::common_steps) {
    steps = r.i64();
    if (*steps < 0 || *steps > largest_count) {
      r.corrupt("number of steps", text_of(*steps), "0 .. 2^62 - 1");
    }
  }
  if (const std::size_t n = r.count(17); n != now.fake_quants.size()) {
    raise(errc::incompatible, "the state has another number of fake-quantizers", where, text_of(n),
          text_of(now.fake_quants.size()));
  }
  quantizer_state loaded = now;
  for (std::size_t i = 0; i < loaded.fake_quants.size(); ++i) {
    const std::string wanted = plan.group_name(index_t(i));
    if (const std::string name = r.text(); name != wanted) {
      raise(errc::incompatible, "the state belongs to another plan", where,
            text_of(std::string_view(name)), text_of(std::string_view(wanted)));
    }
    loaded.calibrated[i] = r.flag() ? 1 : 0;
    load_group(r, plan, index_t(i), steps, loaded.fake_quants[i], where);
    if (const std::int64_t own = loaded.fake_quants[i].steps(); own != loaded.steps()) {
      r.corrupt("fake-quantizers count different steps", text_of(own), text_of(loaded.steps()));
    }
  }
  r.expect_end();
  return loaded;
}

}  // namespace lutra::inline LUTRA_ABI
