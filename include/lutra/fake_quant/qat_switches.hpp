// lutra: qat_switches.hpp - whether a fake-quantizer observes and quantizes: set by hand, or by the steps of training.
// SPDX-License-Identifier: Apache-2.0
//
// With a schedule the switches follow the steps, and setting one of them by hand is an error. What surrounds training
// (calibration, evaluation) sets both and thereby leaves the schedule aside, until follow_schedule(). Steps are counted
// all the time, and saved: training goes on where it was.
#pragma once

#include <lutra/fake_quant/qat_schedule.hpp>
#include <lutra/observe/state.hpp>
#include <optional>

namespace lutra::inline LUTRA_ABI {

// Value type; the part of a fake_quantizer that knows no tensors. One thread at a time; const members may be shared.
class qat_switches {
 public:
  // Raise invalid_state while a schedule is followed.
  void enable_observer(bool on) {
    check_free("fake_quantizer::enable_observer");
    observer_enabled_ = on;
  }
  void enable_fake_quant(bool on) {
    check_free("fake_quantizer::enable_fake_quant");
    fake_quant_enabled_ = on;
  }
  // Both, whatever a schedule says: it is left aside from now on.
  void set_switches(bool observer, bool fake_quant) noexcept {
    following_ = false;
    observer_enabled_ = observer;
    fake_quant_enabled_ = fake_quant;
  }
  // Followed from now on. Absent: the switches stay where they are. Raises what check(qat_schedule) raises.
  void set_schedule(const std::optional<qat_schedule>& schedule) {
    if (schedule) check(*schedule, "fake_quantizer::set_schedule");
    schedule_ = schedule;
    follow_schedule();
  }
  // Gives the switches back to the schedule, if there is one.
  void follow_schedule() noexcept {
    following_ = schedule_.has_value();
    apply_schedule();
  }
  bool follows_schedule() const noexcept { return following_; }
  // To be called after every step of training.
  void step() noexcept {
    ++steps_;
    apply_schedule();
  }
  // The count goes on from here. Raises invalid_argument for a count below 0 or above largest_count.
  void set_steps(std::int64_t steps) {
    if (steps < 0 || steps > largest_count) {
      raise(errc::invalid_argument, "number of steps", "fake_quantizer::set_steps", text_of(steps),
            "0 .. 2^62 - 1");
    }
    steps_ = steps;
    apply_schedule();
  }
  std::int64_t steps() const noexcept { return steps_; }
  const std::optional<qat_schedule>& schedule() const noexcept { return schedule_; }
  bool observer_enabled() const noexcept { return observer_enabled_; }
  bool fake_quant_enabled() const noexcept { return fake_quant_enabled_; }

 protected:
  // Schedule and steps, as parts of a state that is saved whole.
  void save_schedule(state_writer& w) const {
    const qat_schedule s = schedule_.value_or(qat_schedule{});
    w.i64(steps_);
    w.u8(schedule_ ? 1 : 0);
    w.i64(s.enable_observer);
    w.i64(s.enable_fake_quant);
    w.i64(s.disable_observer.value_or(-1));
  }
  // Not followed yet. Raises corrupt_data for what save_schedule() cannot have written.
  void load_schedule(state_reader& in) {
    steps_ = in.i64();
    if (steps_ < 0 || steps_ > largest_count) {
      in.corrupt("number of steps", text_of(steps_), "0 .. 2^62 - 1");
    }
    const bool present = in.flag();
    qat_schedule s{in.i64(), in.i64(), in.i64()};
    if (s.disable_observer == -1) s.disable_observer.reset();
    schedule_.reset();
    following_ = false;
    if (!present) return;
    if (!is_consistent(s)) in.corrupt("steps of a schedule contradict each other", "", "");
    schedule_ = s;
  }

 private:
  void check_free(const char* where) const {
    if (following_) {
      raise(errc::invalid_state, "the switches follow a schedule", where, "step " + text_of(steps_),
            "set_switches(), or set_schedule({}) first");
    }
  }
  void apply_schedule() noexcept {
    if (!following_) return;
    const qat_state now = state_at(*schedule_, steps_);
    observer_enabled_ = now.observer;
    fake_quant_enabled_ = now.fake_quant;
  }

  std::optional<qat_schedule> schedule_;
  std::int64_t steps_ = 0;
  bool following_ = false;  // the schedule sets the switches; then there is one
  bool observer_enabled_ = true;
  bool fake_quant_enabled_ = true;
};

}  // namespace lutra::inline LUTRA_ABI
