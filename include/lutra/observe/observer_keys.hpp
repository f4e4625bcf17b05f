// lutra: observer_keys.hpp - the keys observers are registered under, without the observers.
// SPDX-License-Identifier: Apache-2.0
//
// For what reads a spec and makes no observer (plan()): a misspelled key is found there. any_observer.hpp makes them.
#pragma once

#include <functional>
#include <lutra/core/error.hpp>
#include <lutra/number/suggestion.hpp>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Any thread.
class observer_keys {
 public:
  static observer_keys& instance() {
    static observer_keys keys;
    return keys;
  }
  void add(std::string_view key) {
    const std::lock_guard lock(mutex_);
    keys_.emplace(key);
  }
  bool contains(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    return keys_.contains(key);
  }
  // Raises invalid_argument, listing the keys; `also` is one more that the caller takes.
  [[noreturn]] void refuse(std::string_view key, std::string_view where,
                           std::string_view also = {}) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string_view> names(keys_.begin(), keys_.end());
    if (!also.empty()) names.insert(names.begin(), also);
    std::string list;
    for (const std::string_view name : names) {
      list += (list.empty() ? "" : ", ") + std::string(name);
    }
    raise(errc::invalid_argument, "no observer under this key", std::string(where), text_of(key),
          list + did_you_mean(key, names));
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> keys_{
      "static",        "moving_average",    "moving_average_count_aware",
      "global_minmax", "statistics",        "histogram_percentile",
      "histogram_mse", "histogram_entropy", "torch_histogram"};
};

// Of a spec: "default", or a key registered by now. Raises invalid_argument, listing the keys, for another one.
inline void check_observer_key(std::string_view key, std::string_view where) {
  const observer_keys& keys = observer_keys::instance();
  if (key != "default" && !keys.contains(key)) keys.refuse(key, where, "default");
}

}  // namespace lutra::inline LUTRA_ABI
