// lutra: sensitivity.hpp - how much each element of a weight matters, as importance for clustering.
// SPDX-License-Identifier: Apache-2.0
//
// From sums of squared gradients of the loss, s = sum over steps of g^2 (SqueezeLLM, Kim et al. 2023): s / max s;
// zeros become the least value above 0, everything below 1e-12 becomes 1e-12; all zero: all 1. So every
// sensitivity lies in (0, 1]. Example: [[1, 4], [0, 0]] -> [[0.25, 1], [0.25, 0.25]].
// squared_gradients.hpp collects the sums; kmeans_palettizer::prepare() and measure_layers() take the result.
// Doubles, rounded to float at the end: same bits everywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/number/suggestion.hpp>
#include <lutra/observe/state.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

inline constexpr double least_sensitivity = 1e-12;

// Sums of squares (>= 0, finite) to sensitivities. An empty span stays empty.
inline std::vector<float> normalised_sensitivity(std::span<const double> sums) {
  double most = 0;
  double least = 0;  // above 0
  for (const double s : sums) {
    most = std::max(most, s);
    if (s > 0 && (least == 0 || s < least)) least = s;
  }
  std::vector<float> out(sums.size(), 1.0F);
  if (most == 0) return out;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double s = (sums[i] > 0 ? sums[i] : least) / most;
    out[i] = static_cast<float>(std::max(s, least_sensitivity));
  }
  return out;
}

// "; did you mean 'fc1.weight'?" or nothing, for a name that is not a key of the map.
template <class Value>
std::string suggestion_for(std::string_view name, const std::map<std::string, Value>& known) {
  std::vector<std::string_view> names;
  for (const auto& [key, value] : known) names.push_back(key);
  return did_you_mean(name, names);
}

// Sensitivities by weight name. Value type; concurrent reads are safe.
class weight_sensitivities {
 public:
  // Raises non_finite for NaN or infinity, invalid_argument for an element <= 0 (clustering would ignore it).
  // Replaces what the name had.
  void set(std::string name, tensor<float> s) {
    check_values(name, s);
    by_name_.insert_or_assign(std::move(name), std::move(s));
  }
  // A view of the weight's shape, valid until the object changes; a null view if there is none.
  tensor_view<const float> find(const std::string& name) const {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? tensor_view<const float>() : lutra::view(at->second);
  }
  bool empty() const noexcept { return by_name_.empty(); }
  std::size_t size() const noexcept { return by_name_.size(); }
  const std::map<std::string, tensor<float>>& all() const noexcept { return by_name_; }

  std::vector<std::uint8_t> save() const {
    state_writer w;
    w.u32(magic);
    w.u32(version);
    w.u64(by_name_.size());
    for (const auto& [name, s] : by_name_) {
      w.text(name);
      w.extents(s.extents());
      w.f32s(s.elements());
    }
    return w.take();
  }
  // Replaces everything. Raises corrupt_data, or unsupported for another version; nothing is changed then.
  void load(std::span<const std::uint8_t> bytes) {
    state_reader r(bytes, "weight_sensitivities::load");
    if (const std::uint32_t m = r.u32(); m != magic) {
      r.corrupt("not saved sensitivities", text_of(m), text_of(magic));
    }
    r.version(version);
    std::map<std::string, tensor<float>> loaded;
    for (std::size_t left = r.count(17); left > 0; --left) {
      std::string name = r.text();
      const shape extents = r.extents();
      std::vector<float> values = r.f32s();
      if (static_cast<index_t>(values.size()) != extents.size()) {
        r.corrupt("another number of values than the shape has", text_of(values.size()),
                  text_of(extents.size()));
      }
      for (const float x : values) {
        if (!(x > 0 && x <= std::numeric_limits<float>::max())) {
          r.corrupt("not a sensitivity", text_of(x), "finite and > 0");
        }
      }
      if (!loaded.emplace(name, tensor<float>(extents, std::move(values))).second) {
        r.corrupt("a name occurs twice", text_of(std::string_view(name)), "once");
      }
    }
    r.expect_end();
    by_name_ = std::move(loaded);
  }
  friend bool operator==(const weight_sensitivities&, const weight_sensitivities&) = default;

 private:
  static constexpr std::uint32_t magic = 0x4E53544CU;  // "LTSN"
  static constexpr std::uint32_t version = 1;

  static void check_values(const std::string& name, const tensor<float>& s) {
    for (index_t i = 0; i < s.size(); ++i) {
      const bool finite = is_finite(s[i]);
      if (finite && s[i] > 0.0F) continue;
      raise(finite ? errc::invalid_argument : errc::non_finite,
            "a sensitivity is not finite and > 0",
            "weight_sensitivities, weight " + text_of(std::string_view(name)),
            text_of(s[i]) + " at position " + text_of(i), "finite and > 0");
    }
  }

  std::map<std::string, tensor<float>> by_name_;
};

}  // namespace lutra::inline LUTRA_ABI
