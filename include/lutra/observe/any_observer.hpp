// lutra: any_observer.hpp - a box for any observer, and observers by name.
// SPDX-License-Identifier: Apache-2.0
//
// For places that hold observers of different kinds chosen by a config key; algorithms take the concept.
// A table of functions, no virtual members, no RTTI. Keys: "static", "moving_average",
// "moving_average_count_aware", "global_minmax", "statistics", "histogram_percentile", "histogram_mse",
// "histogram_entropy", "torch_histogram", and what register_observer adds (also the way to other options than an
// observer's defaults).
#pragma once

#include <lutra/observe/global_min_max.hpp>
#include <lutra/observe/histogram_observer.hpp>
#include <lutra/observe/moving_average.hpp>
#include <lutra/observe/observer_keys.hpp>
#include <lutra/observe/placed.hpp>
#include <lutra/observe/static_range.hpp>
#include <lutra/observe/statistics.hpp>
#include <lutra/observe/torch_histogram.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Value type: copying copies the observer. One thread at a time; const members may be shared.
class any_observer {
 public:
  template <class O>
  requires(!std::same_as<O, any_observer> && observer<O>) any_observer(O o)
      : table_(&table_of<boxed<O>>), object_(new boxed<O>(std::move(o))) {}
  any_observer(const any_observer& other)
      : table_(other.table_), object_(other.table_->clone(other.object_)) {}
  any_observer(any_observer&& other) noexcept
      : table_(other.table_), object_(std::exchange(other.object_, nullptr)) {}
  any_observer& operator=(any_observer other) noexcept {
    std::swap(table_, other.table_);
    std::swap(object_, other.object_);
    return *this;
  }
  ~any_observer() {
    if (object_ != nullptr) table_->destroy(object_);
  }

  void observe(tensor_view<const float> x) { table_->observe(object_, x); }
  void reset() { table_->reset(object_); }
  index_t units() const { return table_->units(object_); }
  std::int64_t samples() const { return table_->samples(object_); }
  std::int64_t nonfinite() const { return table_->nonfinite(object_); }
  void range(std::span<float> lo, std::span<float> hi) const { table_->range(object_, lo, hi); }
  void save(state_writer& w) const { table_->save(object_, w); }
  void load(state_reader& r) { table_->load(object_, r); }
  // Of kinds that cannot say, what learn() was told (placed.hpp).
  const seen_units& seen() const { return table_->seen(object_); }
  void learn(const seen_units& units) { table_->learn(object_, units); }
  // Of kinds that are not bounded: nothing worth saying, and false.
  index_t state_bytes() const {
    return table_->state_bytes != nullptr ? table_->state_bytes(object_) : 0;
  }
  bool within(float bound) const {
    return table_->within != nullptr && table_->within(object_, bound);
  }
  bool can_merge() const noexcept { return table_->merge != nullptr; }
  bool can_append() const noexcept { return table_->append != nullptr; }
  // How objects of this kind become one, in words.
  std::string_view combined_by() const noexcept {
    return can_merge()    ? "merge()"
           : can_append() ? "append(), in order"
                          : "no way: observe in one object";
  }
  // Raises incompatible for boxes of different kinds, unsupported if the kind does not merge.
  void merge(const any_observer& other) { combine(table_->merge, other, "any_observer::merge"); }
  void append(const any_observer& later) { combine(table_->append, later, "any_observer::append"); }

 private:
  template <class O> struct box { using type = O; };
  template <class O>
  requires(!placed_observer<O>) struct box<O> {
    using type = placed<O>;
  };
  template <class O> using boxed = typename box<O>::type;
  struct table {
    void (*destroy)(void*);
    void* (*clone)(const void*);
    void (*observe)(void*, tensor_view<const float>);
    void (*reset)(void*);
    index_t (*units)(const void*);
    std::int64_t (*samples)(const void*);
    std::int64_t (*nonfinite)(const void*);
    void (*range)(const void*, std::span<float>, std::span<float>);
    void (*save)(const void*, state_writer&);
    void (*load)(void*, state_reader&);
    const seen_units& (*seen)(const void*);
    void (*learn)(void*, const seen_units&);
    void (*merge)(void*, const void*);    // null: not mergeable
    void (*append)(void*, const void*);   // null: not appendable
    index_t (*state_bytes)(const void*);  // both null: not bounded
    bool (*within)(const void*, float);
  };
  template <class O> static O& as(void* p) { return *static_cast<O*>(p); }
  template <class O> static const O& as(const void* p) { return *static_cast<const O*>(p); }
  template <class O> static constexpr auto merge_of() -> void (*)(void*, const void*) {
    if constexpr (mergeable_observer<O>) {
      return [](void* a, const void* b) { as<O>(a).merge(as<O>(b)); };
    } else {
      return nullptr;
    }
  }
  template <class O> static constexpr auto append_of() -> void (*)(void*, const void*) {
    if constexpr (appendable_observer<O>) {
      return [](void* a, const void* b) { as<O>(a).append(as<O>(b)); };
    } else {
      return nullptr;
    }
  }
  template <class O> static constexpr auto state_bytes_of() -> index_t (*)(const void*) {
    if constexpr (bounded_observer<O>) {
      return [](const void* p) -> index_t { return as<O>(p).state_bytes(); };
    } else {
      return nullptr;
    }
  }
  template <class O> static constexpr auto within_of() -> bool (*)(const void*, float) {
    if constexpr (bounded_observer<O>) {
      return [](const void* p, float bound) -> bool { return as<O>(p).within(bound); };
    } else {
      return nullptr;
    }
  }
  template <class O>
  static constexpr table table_of = {
      [](void* p) { delete static_cast<O*>(p); },
      [](const void* p) -> void* { return new O(as<O>(p)); },
      [](void* p, tensor_view<const float> x) { as<O>(p).observe(x); },
      [](void* p) { as<O>(p).reset(); },
      [](const void* p) -> index_t { return as<O>(p).units(); },
      [](const void* p) -> std::int64_t { return as<O>(p).samples(); },
      [](const void* p) -> std::int64_t { return as<O>(p).nonfinite(); },
      [](const void* p, std::span<float> lo, std::span<float> hi) { as<O>(p).range(lo, hi); },
      [](const void* p, state_writer& w) { as<O>(p).save(w); },
      [](void* p, state_reader& r) { as<O>(p).load(r); },
      [](const void* p) -> const seen_units& { return as<O>(p).seen(); },
      [](void* p, const seen_units& units) { as<O>(p).learn(units); },
      merge_of<O>(),
      append_of<O>(),
      state_bytes_of<O>(),
      within_of<O>()};

  void combine(void (*function)(void*, const void*), const any_observer& other, const char* where) {
    if (table_ != other.table_) {
      raise(errc::incompatible, "observers of different kinds cannot be combined", where,
            "another kind", "the same kind");
    }
    if (function == nullptr) {
      raise(errc::unsupported, "this kind of observer cannot be combined this way", where,
            "a kind without it", std::string(combined_by()));
    }
    function(object_, other.object_);
  }

  const table* table_;
  void* object_;
};
static_assert(placed_observer<any_observer> && bounded_observer<any_observer>);

using observer_factory = any_observer (*)(const quantization_spec&);

class observer_registry {
 public:
  static observer_registry& instance() {
    static observer_registry registry;
    return registry;
  }
  // The factory first: a key that plan() takes, in any thread, can be made.
  bool add(std::string_view key, observer_factory make) {
    const std::lock_guard lock(mutex_);
    const bool replaced = !factories_.insert_or_assign(std::string(key), make).second;
    observer_keys::instance().add(key);
    return replaced;
  }
  observer_factory find(std::string_view key) {
    {
      const std::lock_guard lock(mutex_);
      const auto it = factories_.find(key);
      if (it != factories_.end()) return it->second;
    }
    observer_keys::instance().refuse(key, "make_observer");
  }

 private:
  template <class O> static any_observer fresh(const quantization_spec& s) {
    return any_observer(O(s));
  }
  static any_observer count_aware(const quantization_spec& s) {
    return any_observer(moving_average(s, running_type::float64, averaging::count_aware));
  }
  std::mutex mutex_;
  // The built-in keys are those of observer_keys.
  std::map<std::string, observer_factory, std::less<>> factories_{
      {"static", &fresh<static_range>},
      {"moving_average", &fresh<moving_average>},
      {"moving_average_count_aware", &count_aware},
      {"global_minmax", &fresh<global_min_max>},
      {"statistics", &fresh<statistics>},
      {"histogram_percentile", &fresh<histogram_percentile>},
      {"histogram_mse", &fresh<histogram_mse>},
      {"histogram_entropy", &fresh<histogram_entropy>},
      {"torch_histogram", &fresh<torch_histogram>}};
};

// Makes `key` known to make_observer; true if it replaced an earlier entry. Any thread.
inline bool register_observer(std::string_view key, observer_factory make) {
  return observer_registry::instance().add(key, make);
}

// A fresh observer of the kind `key`. Raises invalid_argument, listing the keys, for an unknown one.
// "default" is resolved by the fake-quantizer, which knows its target. Any thread.
inline any_observer make_observer(std::string_view key, const quantization_spec& spec) {
  return observer_registry::instance().find(key)(spec);
}

}  // namespace lutra::inline LUTRA_ABI
