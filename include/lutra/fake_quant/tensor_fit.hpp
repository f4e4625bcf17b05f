// lutra: tensor_fit.hpp - which tensors a fake-quantizer takes, by their shape.
// SPDX-License-Identifier: Apache-2.0
//
//   no elements                                      nothing to observe or to quantize: passed on
//   extents that the blocks do not divide            disables for good, and is kept as the reason: passed on
//   an axis that is missing or not there, a rank     invalid_argument, shape_mismatch
//   units that are not those of earlier tensors      shape_mismatch (observe/seen_units.hpp)
//   else                                             taken
// Value type. O(rank).
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/observe/seen_units.hpp>
#include <optional>
#include <string>

namespace lutra::inline LUTRA_ABI {

class tensor_fit {
 public:
  // Present: disabled.
  const std::optional<block_mismatch>& mismatch() const noexcept { return mismatch_; }
  // In words; empty unless disabled.
  std::string reason(const granularity& g) const {
    if (!mismatch_) return {};
    return text_of(*mismatch_) + " (shape " + text_of(mismatch_->extents) + ", " + text_of(g) + ")";
  }

  // The units of a tensor that is taken, absent for one that is passed on; `seen` are those of earlier tensors.
  std::optional<block_grid> take(const quantization_spec& spec, const shape& extents,
                                 const seen_units& seen) {
    if (mismatch_ || extents.size() == 0) return {};
    const char* where = "fake_quantizer";
    const block_grid units = grid_of(spec.granularity, extents, where, short_groups::allow);
    if (spec.short_groups == short_groups::forbid) {
      mismatch_ = mismatch_of(extents, units.block());
      if (mismatch_) return {};
    }
    seen.check(spec.granularity, units, where);
    return units;
  }
  // Disabled if either was.
  void add(const tensor_fit& other) noexcept {
    if (!mismatch_) mismatch_ = other.mismatch_;
  }

  void save_mismatch(state_writer& w) const {
    w.u8(mismatch_ ? 1 : 0);
    if (!mismatch_) return;
    w.i64(mismatch_->axis);
    w.i64(mismatch_->block_size);
    w.extents(mismatch_->extents);
  }
  // Raises corrupt_data for what does not say why blocks do not fit.
  void load_mismatch(state_reader& r) {
    mismatch_.reset();
    if (!r.flag()) return;
    const std::int64_t axis = r.i64();
    const std::int64_t block_size = r.i64();
    const shape extents = r.extents();
    if (axis < 0 || axis >= extents.rank() || block_size < 1 ||
        extents[static_cast<int>(axis)] % block_size == 0) {
      r.corrupt("reason why it is disabled", text_of(axis),
                "an axis that the blocks do not divide");
    }
    mismatch_ = {static_cast<int>(axis), block_size, extents};
  }
  void enable() noexcept { mismatch_.reset(); }

 private:
  std::optional<block_mismatch> mismatch_;
};

}  // namespace lutra::inline LUTRA_ABI
