// lutra: torch_histogram.hpp - compatibility observer "torch_histogram": torch.ao's HistogramObserver.
// SPDX-License-Identifier: Apache-2.0
//
// Follows torch 1.13.1 (release v1_13) or 2.1 and later (v2), defects included: bins resampled when the range grows
// (torch_bins.hpp; so the order of batches matters and nothing merges) and a greedy search for the range
// (torch_search.hpp).
// NaN and infinities are left out and counted (torch fails or warns). A histogram wider than float32, or with bins too
// narrow for it, raises non_finite (torch goes on with NaN). Per tensor only.
// Prefer "histogram_mse"; this is for comparisons like for like. One thread at a time.
#pragma once

#include <lutra/number/finite.hpp>
#include <lutra/observe/range_input.hpp>
#include <lutra/observe/torch_bins.hpp>
#include <lutra/observe/torch_search.hpp>

namespace lutra::inline LUTRA_ABI {

class torch_histogram {
 public:
  explicit torch_histogram(const quantization_spec& spec, torch_release release = torch_release::v2,
                           index_t bins = 2048)
      : input_(spec), bins_(checked(bins), release), release_(release) {
    if (spec.granularity.kind() != granularity_kind::per_tensor) {
      raise(errc::unsupported, "torch's histogram observer is per tensor only", "torch_histogram",
            text_of(spec.granularity), "per_tensor");
    }
  }
  void observe(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    std::vector<float> values = to_vector<float>(x);
    std::erase_if(values, [](float v) { return !is_finite(v); });
    if (!values.empty()) bins_.add(values);
    input_.count(units, x.size() - static_cast<index_t>(values.size()));
  }
  void reset() {
    input_.reset();
    bins_ = torch_bins(static_cast<index_t>(bins_.counts().size()), release_);
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  const torch_bins& bins() const noexcept { return bins_; }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    if (units() == 0) return;
    const auto [least, most] = bins_.empty() ? std::pair(0.0F, 0.0F) : torch_search(bins_).ends();
    lo[0] = input_.low_end(least);
    hi[0] = input_.high_end(most);
  }
  void save(state_writer& w) const {
    w.u32(state_version);
    w.u8(static_cast<std::uint8_t>(release_));
    input_.save(w);
    bins_.save(w);
  }
  void load(state_reader& r) {
    r.version(state_version);
    if (const int release = r.u8(); release != static_cast<int>(release_)) {
      r.corrupt("release", text_of(release), text_of(static_cast<int>(release_)));
    }
    range_input input = input_;
    input.load(r);
    if (input.units() > 1) r.corrupt("number of units", text_of(input.units()), "0, 1");
    bins_.load(r);
    input_ = input;
  }

 private:
  static constexpr std::uint32_t state_version = 1;
  static index_t checked(index_t bins) {
    if (bins >= 2 && bins <= 1 << 20) return bins;
    raise(errc::invalid_argument, "number of bins out of range", "torch_histogram", text_of(bins),
          range_text(2, 1 << 20));
  }
  range_input input_;
  torch_bins bins_;
  torch_release release_;
};
static_assert(observer<torch_histogram> && !mergeable_observer<torch_histogram> &&
              !appendable_observer<torch_histogram>);

}  // namespace lutra::inline LUTRA_ABI
