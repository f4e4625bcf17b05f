// lutra: quantizer_mode.hpp - the scopes of a quantizer: calibration and training, and what the graph is in meanwhile.
// SPDX-License-Identifier: Apache-2.0
//
// Adapters that have set_training(g, on) are told how batch norms and dropout are to behave; what was set before
// comes back however a scope is left. One thread at a time.
#pragma once

#include <lutra/graph/config.hpp>
#include <lutra/graph/graph_index.hpp>
#include <lutra/graph/traits.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lutra::inline LUTRA_ABI {

enum class quantizer_mode : unsigned char { none, calibration, training };

// Raises invalid_state inside a scope.
inline void refuse_scope(quantizer_mode open, const char* where) {
  if (open == quantizer_mode::none) return;
  raise(errc::invalid_state,
        open == quantizer_mode::calibration ? "a calibration scope is open"
                                            : "a training scope is open",
        where);
}

// Raises invalid_state for a graph that holds fake-quant nodes.
inline void refuse_prepared(const graph_index& g, const char* where) {
  for (index_t n = 0; n < g.node_count(); ++n) {
    if (g.op(n) != "fake_quant") continue;
    raise(errc::invalid_state, "the graph is already prepared", where,
          "node " + text_of(std::string_view(g.name[to_size(n)])));
  }
}

// Puts the graph into training or into use while it lives.
template <class G> class training_switch {
 public:
  training_switch(G& graph, bool on) : graph_(std::addressof(graph)), before_(set(on)) {}
  training_switch(training_switch&& other) noexcept
      : graph_(std::exchange(other.graph_, nullptr)), before_(other.before_) {}
  training_switch& operator=(training_switch&&) = delete;
  ~training_switch() {
    if (graph_ != nullptr) set(before_);
  }

 private:
  // Returns what was set before.
  bool set([[maybe_unused]] bool on) {
    if constexpr (requires { graph_traits<G>::set_training(*graph_, on); }) {
      return graph_traits<G>::set_training(*graph_, on);
    } else {
      return false;
    }
  }
  G* graph_;
  bool before_;
};

// A mode of `Owner`, which has leave_mode(), while it lives; ends however the scope is left. Scopes do not nest.
template <class Owner, class G> class mode_scope {
 public:
  mode_scope(Owner& owner, G& graph, bool training) : owner_(&owner), training_(graph, training) {}
  mode_scope(mode_scope&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), training_(std::move(other.training_)) {}
  mode_scope& operator=(mode_scope&&) = delete;
  ~mode_scope() {
    if (owner_ != nullptr) owner_->leave_mode();
  }

 private:
  Owner* owner_;
  training_switch<G> training_;
};

// The first part of a config with a schedule; empty if there is none.
inline std::string scheduled_part(const quantizer_config& config) {
  if (config.global_config.qat_schedule) return "global_config";
  for (const auto& [type, module] : config.module_type_configs) {
    if (module.qat_schedule) return "module type " + text_of(std::string_view(type));
  }
  for (const auto& [pattern, module] : config.module_name_configs) {
    if (module.qat_schedule) return "module name " + text_of(std::string_view(pattern));
  }
  return {};
}

}  // namespace lutra::inline LUTRA_ABI
