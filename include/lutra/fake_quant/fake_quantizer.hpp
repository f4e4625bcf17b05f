// lutra: fake_quantizer.hpp - observer, parameters and switches of one quantized value.
// SPDX-License-Identifier: Apache-2.0
//
//   observer  fake-quant   forward(x)
//   on        off          calibration: statistics only, output is x
//   on        on           training: statistics, then x quantized with the parameters just computed
//   off       on           evaluation with frozen parameters
//   off       off          transparent
// A tensor to observe or to quantize whose extents the blocks do not divide disables the fake-quantizer for good:
// output is x, and disabled_reason() says why. One whose units (elements that share a scale) are more, fewer or
// elsewhere than those of earlier tensors is an error (fake_quant/tensor_fit.hpp). Errors leave switches, statistics
// and parameters as they were: a forward() that needs parameters learns from a tensor only if they can be derived,
// which is tried on a copy of the statistics. Large ones (bounded_observer) are copied only where they or the tensor
// are almost too wide.
// NaN in the data propagates to the output and is left out of the statistics.
// Parameters are derived from the statistics when they are needed, not per batch: calibration with a histogram
// observer searches for its range once, at the end.
// With a qat_schedule the switches follow the steps of training, and setting one of them by hand is an error. What
// surrounds training (calibration, evaluation) sets both and thereby leaves the schedule aside, until
// follow_schedule(). Steps are counted all the time, and saved: training goes on where it was.
#pragma once

#include <lutra/affine/float_types.hpp>
#include <lutra/fake_quant/qat_schedule.hpp>
#include <lutra/fake_quant/spec_identity.hpp>
#include <lutra/fake_quant/tensor_fit.hpp>
#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/saved.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// Value type. One thread at a time; const members may be shared.
class fake_quantizer {
 public:
  // Raises what check(spec) and make_observer raise.
  fake_quantizer(const quantization_spec& spec, lutra::target target)
      : spec_(checked(spec)), target_(target), observer_(fresh_observer()) {}

  // in and out have equal shapes and may be the same elements. Raises shape_mismatch for other
  // units than before, invalid_state if parameters are needed and none were computed.
  void forward(tensor_view<const float> in, tensor_view<float> out) {
    check_same_extents(in.extents(), out.extents(), "fake_quantizer::forward");
    if (!takes(in)) return copy<float>(in, out);
    fake_quantize(in, *params_, out);
  }
  // half, bfloat16 and double tensors (affine/float_types.hpp). Switched off, they are copied as they are.
  template <converted_float_element X>
  void forward(const tensor_view<X>& in, const tensor_view<std::remove_const_t<X>>& out) {
    check_same_extents(in.extents(), out.extents(), "fake_quantizer::forward");
    tensor<float> x = as_float(in);
    if (!takes(view(x))) return copy<std::remove_const_t<X>>(in, out);
    fake_quantize(view(x), *params_, view(x));
    from_float(x, out);
  }
  // The statistics half of forward(), whatever observer_enabled() says.
  void observe(tensor_view<const float> x) {
    if (const auto units = fit_.take(spec_, x.extents())) observe_units(x, *units);
  }
  template <converted_float_element X> void observe(const tensor_view<X>& x) {
    observe(view(as_float(x)));
  }

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
  bool disabled() const noexcept { return fit_.mismatch().has_value(); }
  // Why: absent, and an empty text, unless disabled.
  const std::optional<block_mismatch>& disabled_by() const noexcept { return fit_.mismatch(); }
  std::string disabled_reason() const {
    if (!disabled()) return {};
    const block_mismatch& m = *disabled_by();
    return text_of(m) + " (shape " + text_of(m.extents) + ", " + text_of(spec_.granularity) + ")";
  }
  bool initialized() const { return observer_.units() != 0; }
  std::int64_t samples() const { return observer_.samples(); }
  std::int64_t nonfinite() const { return observer_.nonfinite(); }
  // Derived anew if tensors were observed since the last forward() that needed them. Raises invalid_state
  // before data, non_finite if the range is too wide for a scale.
  qparams params() const {
    check_observed();
    return params_ ? *params_ : params_of(observer_);
  }
  const quantization_spec& spec() const noexcept { return spec_; }
  lutra::target target() const noexcept { return target_; }
  const any_observer& statistics() const noexcept { return observer_; }
  // Of the tensors observed.
  const seen_units& units() const noexcept { return fit_.units(); }

  // Raises invalid_state after the first tensor, also if that disabled it, and what check(spec) and make_observer
  // raise; nothing is changed then.
  void set_granularity(const granularity& g) {
    if (initialized() || disabled()) {
      raise(errc::invalid_state, "granularity cannot change after the first tensor",
            "fake_quantizer::set_granularity", text_of(g),
            text_of(spec_.granularity) + (disabled() ? ", disabled: " + disabled_reason() : ""));
    }
    quantization_spec changed = spec_;
    changed.granularity = g;
    check(changed, "fake_quantizer::set_granularity");
    observer_ = make_observer(observer_key_of(changed, target_), changed);
    spec_ = std::move(changed);
  }
  // Adds the statistics of `other` (same spec): exact in any order for mergeable observers.
  void merge(const fake_quantizer& other) { combine(other, true, "fake_quantizer::merge"); }
  // Continues with what `later` saw after this one.
  void append(const fake_quantizer& later) { combine(later, false, "fake_quantizer::append"); }

  // The whole state: switches, schedule and steps, statistics, and the spec it belongs to.
  std::vector<std::uint8_t> save() const {
    state_writer w;
    w.u32(magic);
    w.u32(version);
    save_identity(w, spec_, target_);
    w.u8(observer_enabled_ ? 1 : 0);
    w.u8(fake_quant_enabled_ ? 1 : 0);
    w.u8(disabled() ? 1 : 0);
    w.u8(initialized() ? 1 : 0);
    w.text(disabled_reason());
    save_schedule(w);
    observer_.save(w);
    w.u8(following_ ? 1 : 0);
    fit_.save_mismatch(w);
    units().save_grid(w);
    return sealed(std::move(w));
  }
  // Raises corrupt_data for bytes save() cannot have written, incompatible if they belong to another
  // spec or target; the object is unchanged then. Reads versions 2, where schedules were always followed, 3, if
  // disabled then only where this object was disabled too, and 4, where the units are those of the first tensor
  // that comes with as many.
  void load(std::span<const std::uint8_t> bytes) {
    const char* where = "fake_quantizer::load";
    state_reader r(bytes, where);
    if (const std::uint32_t m = r.u32(); m != magic)
      r.corrupt("magic number", text_of(m), text_of(magic));
    const std::uint32_t v = r.u32();
    if (v > version || v < always_following) {
      raise(errc::unsupported, "state has another version", where, text_of(v),
            range_text(always_following, version));
    }
    state_reader in(unsealed(bytes, where), where);
    in.u64();  // both again: the seal covers them
    check_identity(in);
    fake_quantizer loaded = *this;
    loaded.observer_enabled_ = in.flag();
    loaded.fake_quant_enabled_ = in.flag();
    const bool disabled = in.flag();
    const bool initialized = in.flag();
    in.text();  // for people
    loaded.load_schedule(in);
    loaded.observer_ = fresh_observer();
    loaded.observer_.load(in);
    loaded.following_ = v == always_following ? loaded.schedule_.has_value() : in.flag();
    if (loaded.following_ && !loaded.schedule_) in.corrupt("no schedule to follow", "", "");
    if (v >= with_mismatch) {
      loaded.fit_.load_mismatch(in);
    } else if (!disabled) {
      loaded.fit_.enable();
    } else if (!this->disabled()) {
      raise(errc::unsupported, "an earlier version does not say what disabled it", where,
            text_of(v), text_of(version));
    }
    if (disabled != loaded.disabled()) in.corrupt("disabled without a reason", "", "");
    const index_t units = loaded.observer_.units();
    loaded.fit_.set_units(v >= with_grid ? seen_units::load_grid(in, units)
                                         : seen_units::without_grid(units));
    in.expect_end();
    loaded.apply_schedule();
    loaded.params_.reset();
    if (initialized != loaded.initialized()) {
      in.corrupt(initialized ? "initialized without statistics" : "statistics without data", "",
                 "");
    }
    *this = std::move(loaded);
  }

 private:
  static constexpr std::uint32_t magic = 0x5146544CU;  // "LTFQ"
  static constexpr std::uint32_t version = 5;
  static constexpr std::uint32_t always_following = 2;  // without the flag after the observer
  static constexpr std::uint32_t with_mismatch = 4;     // after that flag
  static constexpr std::uint32_t with_grid = 5;         // at the end

  static const quantization_spec& checked(const quantization_spec& s) {
    check(s, "fake_quantizer");
    return s;
  }
  any_observer fresh_observer() const {
    return make_observer(observer_key_of(spec_, target_), spec_);
  }
  // Two pinned ends are all there is to know, once the units are.
  bool settled() const { return initialized() && spec_.float_range.lo && spec_.float_range.hi; }
  // What forward() does first, according to the switches: whether to quantize x, whose parameters are ready then.
  // Statistics and parameters, or neither: a range may be too wide for a scale.
  bool takes(const tensor_view<const float>& x) {
    if (!observer_enabled_ && !fake_quant_enabled_) return false;
    const auto units = fit_.take(spec_, x.extents());
    if (!units) return false;
    if (observer_enabled_ && !settled()) {
      !fake_quant_enabled_ || is_narrow(x) ? observe_units(x, *units) : try_units(x, *units);
    }
    if (!fake_quant_enabled_) return false;
    check_observed();
    if (!params_) params_ = params_of(observer_);
    fit_.learn(*units);  // those of an earlier version's state may not be known
    return true;
  }
  void observe_units(const tensor_view<const float>& x, const block_grid& units) {
    if (settled()) return;
    observer_.observe(x);
    params_.reset();
    fit_.learn(units);
  }
  // The same with the parameters that follow, or nothing where they cannot be derived.
  void try_units(const tensor_view<const float>& x, const block_grid& units) {
    any_observer after = observer_;
    after.observe(x);
    params_ = params_of(after);
    observer_ = std::move(after);
    fit_.learn(units);
  }
  // Whether parameters can be derived after x, as far as its magnitudes and the observer can tell: only statistics
  // that are large can.
  bool is_narrow(const tensor_view<const float>& x) const {
    const float most = safe_magnitude(spec_) / 4;  // a range may lie beyond the elements
    const auto& [lo, hi] = spec_.float_range;
    if (-lo.value_or(0.0F) > most || hi.value_or(0.0F) > most || !observer_.within(most)) {
      return false;
    }
    const unit_ranges r = ranges_of(x, block_grid(x.extents(), x.extents()));
    return r.lo[0] >= -most && r.hi[0] <= most;
  }
  qparams params_of(const any_observer& o) const {
    const auto units = static_cast<std::size_t>(o.units());
    std::vector<float> lo(units);
    std::vector<float> hi(units);
    o.range(lo, hi);
    return qparams_from_range(spec_, lo, hi);
  }
  void check_observed() const {
    if (initialized()) return;
    if (disabled()) {
      raise(errc::invalid_state, "blocks do not divide the tensor, so there are no parameters",
            "fake_quantizer", "disabled: " + disabled_reason(),
            "a divisor, or short_groups::allow in the spec");
    }
    raise(errc::invalid_state, "no tensor was observed, so there are no parameters",
          "fake_quantizer", "0 samples", "a tensor through forward() or observe() first");
  }
  template <class T> static void copy(const tensor_view<const T>& in, const tensor_view<T>& out) {
    if (in.data() == out.data() && std::ranges::equal(in.strides(), out.strides())) return;
    on_dense(in, out, [&](const T* from, T* to) {
      if (from != to) std::copy_n(from, in.size(), to);
    });
  }
  void combine(const fake_quantizer& other, bool merging, const char* where) {
    if (!(spec_ == other.spec_) || target_ != other.target_) {
      const auto [theirs, mine] = difference_of(other.spec_, other.target_, spec_, target_);
      raise(errc::incompatible, "fake-quantizers have different specs or targets", where, theirs,
            mine);
    }
    if (!fit_.agrees_with(other.fit_, spec_.granularity)) {
      raise(errc::incompatible, "fake-quantizers describe different units", where,
            other.units().description(), units().description());
    }
    if (merging ? !observer_.can_merge() : !observer_.can_append()) {
      raise(errc::unsupported, "statistics of this observer cannot be combined this way", where,
            text_of(observer_key_of(spec_, target_)), std::string(observer_.combined_by()));
    }
    any_observer both = observer_;
    merging ? both.merge(other.observer_) : both.append(other.observer_);
    observer_ = std::move(both);
    params_.reset();
    fit_.add(other.fit_);
  }
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
  void save_schedule(state_writer& w) const {
    const qat_schedule s = schedule_.value_or(qat_schedule{});
    w.i64(steps_);
    w.u8(schedule_ ? 1 : 0);
    w.i64(s.enable_observer);
    w.i64(s.enable_fake_quant);
    w.i64(s.disable_observer.value_or(-1));
  }
  void load_schedule(state_reader& in) {
    steps_ = in.i64();
    if (steps_ < 0 || steps_ > largest_count) {
      in.corrupt("number of steps", text_of(steps_), "0 .. 2^62 - 1");
    }
    const bool present = in.flag();
    qat_schedule s{in.i64(), in.i64(), in.i64()};
    if (s.disable_observer == -1) s.disable_observer.reset();
    schedule_.reset();
    if (!present) return;
    if (!is_consistent(s)) in.corrupt("steps of a schedule contradict each other", "", "");
    schedule_ = s;
  }
  void check_identity(state_reader& in) const {
    state_writer written;
    save_identity(written, spec_, target_);
    state_reader mine(written.bytes(), "fake_quantizer::load");
    const auto difference = difference_of(in, mine);
    if (!difference) return;
    raise(errc::incompatible, "state belongs to a fake-quantizer with another spec or target",
          "fake_quantizer::load", difference->theirs, difference->mine);
  }

  quantization_spec spec_;
  lutra::target target_;
  any_observer observer_;
  std::optional<qparams> params_;  // of the statistics, where they were needed already
  tensor_fit fit_;
  std::optional<qat_schedule> schedule_;
  std::int64_t steps_ = 0;
  bool following_ = false;  // the schedule sets the switches; then there is one
  bool observer_enabled_ = true;
  bool fake_quant_enabled_ = true;
};

}  // namespace lutra::inline LUTRA_ABI
