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
// which is tried on a copy of the statistics (of large ones, bounded_observer, only where they or the tensor are almost
// too wide, or the tensor is larger still).
// NaN in the data propagates to the output and is left out of the statistics; where all data were NaN or infinite,
// there are no parameters, unless both ends of the range are pinned. Of one unit among others they are those of zeros.
// Parameters are derived from the statistics when they are needed, not per batch: calibration with a histogram
// observer searches for its range once, at the end.
// The switches are those of qat_switches.hpp: set by hand, or following a schedule of training steps.
#pragma once

#include <lutra/affine/float_types.hpp>
#include <lutra/fake_quant/qat_switches.hpp>
#include <lutra/fake_quant/spec_identity.hpp>
#include <lutra/fake_quant/tensor_fit.hpp>
#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/saved.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// Value type. One thread at a time; const members may be shared.
class fake_quantizer : public qat_switches {
 public:
  // Raises what check(spec) and make_observer raise.
  fake_quantizer(const quantization_spec& spec, lutra::target target)
      : spec_(checked(spec)), target_(target), observer_(fresh_observer()) {}

  // in and out have equal shapes and may be the same elements. Raises shape_mismatch for other units than before, and,
  // if parameters are needed, what params() raises.
  void forward(tensor_view<const float> in, tensor_view<float> out) {
    check_same_extents(in.extents(), out.extents(), "fake_quantizer::forward");
    if (!takes(in)) return copy_elements(in, out);
    fake_quantize(in, *params_, out);
  }
  // half, bfloat16 and double tensors (affine/float_types.hpp). Switched off, they are copied as they are.
  template <converted_float_element X>
  void forward(const tensor_view<X>& in, const tensor_view<std::remove_const_t<X>>& out) {
    check_same_extents(in.extents(), out.extents(), "fake_quantizer::forward");
    tensor<float> x = as_float(in);
    if (!takes(view(x))) return copy_elements(in, out);
    fake_quantize(view(x), *params_, view(x));
    from_float(x, out);
  }
  // The statistics half of forward(), whatever observer_enabled() says.
  void observe(tensor_view<const float> x) {
    if (const auto seen = fit_.take(spec_, x.extents(), units())) observe_units(x, *seen);
  }
  template <converted_float_element X> void observe(const tensor_view<X>& x) {
    observe(view(as_float(x)));
  }

  bool disabled() const noexcept { return fit_.mismatch().has_value(); }
  // Why: absent, and an empty text, unless disabled.
  const std::optional<block_mismatch>& disabled_by() const noexcept { return fit_.mismatch(); }
  std::string disabled_reason() const { return fit_.reason(spec_.granularity); }
  bool initialized() const { return observer_.units() != 0; }
  std::int64_t samples() const { return observer_.samples(); }
  std::int64_t nonfinite() const { return observer_.nonfinite(); }
  // Derived anew if tensors were observed since the last forward() that needed them. Raises invalid_state
  // before data, non_finite if no element was finite or the range is too wide for a scale.
  qparams params() const {
    check_observed();
    return params_ ? *params_ : params_of(observer_);
  }
  const quantization_spec& spec() const noexcept { return spec_; }
  lutra::target target() const noexcept { return target_; }
  const any_observer& statistics() const noexcept { return observer_; }
  // Of the tensors observed.
  const seen_units& units() const { return observer_.seen(); }

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
    w.u8(observer_enabled() ? 1 : 0);
    w.u8(fake_quant_enabled() ? 1 : 0);
    w.u8(disabled() ? 1 : 0);
    w.u8(initialized() ? 1 : 0);
    w.text(disabled_reason());
    save_schedule(w);
    observer_.save(w);
    w.u8(follows_schedule() ? 1 : 0);
    fit_.save_mismatch(w);
    units().save_grid(w);
    return sealed(std::move(w));
  }
  // Raises corrupt_data for bytes save() cannot have written, incompatible if they belong to another
  // spec or target; the object is unchanged then. Reads versions 2, where schedules were always followed, 3, if
  // disabled then only where this object was disabled too, and 4, where the units are those of the first tensor
  // that comes with as many. Specs are compared with averaging_constant as a float.
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
    check_identity(in, spec_, target_, where);
    fake_quantizer loaded = *this;
    const bool observing = in.flag();
    const bool quantizing = in.flag();
    loaded.set_switches(observing, quantizing);
    const bool disabled = in.flag();
    const bool initialized = in.flag();
    in.text();  // for people
    loaded.load_schedule(in);
    loaded.observer_ = fresh_observer();
    loaded.observer_.load(in);
    const bool follows = v == always_following ? loaded.schedule().has_value() : in.flag();
    if (follows && !loaded.schedule()) in.corrupt("no schedule to follow", "", "");
    if (follows) loaded.follow_schedule();
    if (v >= with_mismatch) {
      loaded.fit_.load_mismatch(in);
    } else if (!disabled) {
      loaded.fit_.enable();
    } else if (!this->disabled()) {
      raise(errc::unsupported, "an earlier version does not say what disabled it", where,
            text_of(v), text_of(version));
    }
    if (disabled != loaded.disabled()) in.corrupt("disabled without a reason", "", "");
    loaded.load_units(in, v >= with_grid);
    in.expect_end();
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
    if (!observer_enabled() && !fake_quant_enabled()) return false;
    const auto seen = fit_.take(spec_, x.extents(), units());
    if (!seen) return false;
    if (observer_enabled() && !settled()) {
      !fake_quant_enabled() || is_narrow(x) ? observe_units(x, *seen) : try_units(x, *seen);
    }
    if (!fake_quant_enabled()) return false;
    check_observed();
    if (!params_) params_ = params_of(observer_);
    learn(observer_, *seen);  // those of an earlier version's state may not be known
    return true;
  }
  void observe_units(const tensor_view<const float>& x, const block_grid& seen) {
    if (settled()) return;
    observer_.observe(x);
    learn(observer_, seen);
    params_.reset();
  }
  // The same with the parameters that follow, or nothing where they cannot be derived.
  void try_units(const tensor_view<const float>& x, const block_grid& seen) {
    any_observer after = observer_;
    after.observe(x);
    learn(after, seen);
    params_ = params_of(after);
    observer_ = std::move(after);
  }
  static void learn(any_observer& o, const block_grid& seen) {
    if (!o.seen().grid()) o.learn(seen_units::of(seen));
  }
  // Whether parameters can be derived after x, as far as its magnitudes and the observer can tell: only statistics
  // that are large can. False as well where to copy them costs less than to look at x, an element for a byte.
  bool is_narrow(const tensor_view<const float>& x) const {
    if (x.size() >= observer_.state_bytes()) return false;
    const float most = safe_magnitude(spec_) / 4;  // a range may lie beyond the elements
    const auto& [lo, hi] = spec_.float_range;
    if (-lo.value_or(0.0F) > most || hi.value_or(0.0F) > most || !observer_.within(most)) {
      return false;
    }
    const unit_ranges r = ranges_of(x, block_grid(x.extents(), x.extents()));
    return r.lo[0] <= r.hi[0] && r.lo[0] >= -most && r.hi[0] <= most;  // and some element is finite
  }
  qparams params_of(const any_observer& o) const {
    const bool pinned = spec_.float_range.lo && spec_.float_range.hi;
    if (!pinned && o.samples() > 0 && o.nonfinite() == o.samples()) {
      raise(errc::non_finite, "no finite element was observed, so there are no parameters",
            "fake_quantizer", text_of(o.samples()) + " elements, all NaN or infinite",
            "a finite element");
    }
    const auto units = to_size(o.units());
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
  void combine(const fake_quantizer& other, bool merging, const char* where) {
    check_identity(other.spec_, other.target_, spec_, target_, where);
    if (!units().agrees_with(other.units(), spec_.granularity)) {
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
  // The grid of the units, where it was saved, also stands after everything else, for observers that cannot say it.
  void load_units(state_reader& in, bool has_grid) {
    const index_t count = observer_.units();
    const seen_units saved =
        has_grid ? seen_units::load_grid(in, count) : seen_units::without_grid(count);
    if (!saved.agrees_with(units(), spec_.granularity)) {
      in.corrupt("grid of the units", saved.description(), units().description());
    }
    observer_.learn(saved);
  }

  quantization_spec spec_;
  lutra::target target_;
  any_observer observer_;
  std::optional<qparams> params_;  // of the statistics, where they were needed already
  tensor_fit fit_;
};

}  // namespace lutra::inline LUTRA_ABI
