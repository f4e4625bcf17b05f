// lutra: resolve.hpp - which config entry governs which node.
// SPDX-License-Identifier: Apache-2.0
//
// Module level: name patterns, then types, then global; within a level the later entry wins, even if it is broader.
// An entry reaches the descendants of the modules it matches, except for its module_*_spec maps. Op
// level inside the one module config: name patterns, then op types, then its own maps; no merging.
// The same rules serve the quantizer's and the palettizer's configs (Config).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <lutra/graph/config.hpp>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/index.hpp>
#include <lutra/graph/name_pattern.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class config_level : unsigned char { name, type, global };  // in order of priority
enum class op_config_level : unsigned char { name, type, defaults };

// Where in a config a decision was taken; entries are positions in their maps.
struct config_source {
  config_level level = config_level::global;
  index_t entry = -1;
  op_config_level op_level = op_config_level::defaults;
  index_t op_entry = -1;
  friend bool operator==(const config_source&, const config_source&) = default;
};

template <class Config> class config_resolver {
 public:
  using module_config_type = decltype(Config::global_config);
  using op_config_type = typename decltype(module_config_type::op_type_config)::mapped_type;

  // What governs one node.
  struct choice {
    const module_config_type* module;
    const op_config_type* op;  // null: the module config's own maps
    config_source source;
    bool enabled() const noexcept { return module->enabled && (op == nullptr || op->enabled); }
    friend bool operator==(const choice&, const choice&) = default;
  };
  // A module an entry matches itself (`direct`) or through an ancestor.
  struct record {
    index_t module;
    index_t entry;
    bool direct;
  };

  config_resolver(const Config& config, const graph_index& g)
      : config_(config),
        graph_(g),
        by_name_(to_size(g.modules.size()), -1),
        by_type_(to_size(g.modules.size()), -1) {
    compile_patterns();
    const module_tree& modules = g.modules;
    std::vector<name_pattern> patterns;
    for (const auto& e : config.module_name_configs) patterns.emplace_back(e.key);
    name_matched_.resize(patterns.size());
    type_matched_.resize(config.module_type_configs.size());
    for (std::size_t i = patterns.size(); i-- > 0;) {
      fill(by_name_, names_, index_t(i), name_matched_, [&](index_t m) {
        if (patterns[i].matches(modules.path(m))) return true;
        for (const index_t alias : modules.aliases(m)) {
          if (patterns[i].matches(modules.path(alias))) return true;
        }
        return false;
      });
    }
    for (std::size_t i = config.module_type_configs.size(); i-- > 0;) {
      const std::string& type = config.module_type_configs[i].key;
      fill(by_type_, types_, index_t(i), type_matched_,
           [&](index_t m) { return modules.type(m) == type; });
    }
    state_ranks(config_level::name, name_ranks_);
    state_ranks(config_level::type, type_ranks_);
  }

  const Config& config() const noexcept { return config_; }
  // Records of a level in the order in which they were made: later entries first, children before parents.
  const std::vector<record>& records(config_level level) const noexcept {
    return level == config_level::name ? names_ : types_;
  }
  const module_config_type& module_config(config_level level, index_t entry) const noexcept {
    if (level == config_level::name) return config_.module_name_configs[to_size(entry)].value;
    if (level == config_level::type) return config_.module_type_configs[to_size(entry)].value;
    return config_.global_config;
  }

  choice of(index_t node) {
    const index_t m = graph_.module[to_size(node)];
    config_source source;
    if (by_name_[to_size(m)] >= 0) {
      source.level = config_level::name;
      source.entry = by_name_[to_size(m)];
    } else if (by_type_[to_size(m)] >= 0) {
      source.level = config_level::type;
      source.entry = by_type_[to_size(m)];
    }
    choice c{&module_config(source.level, source.entry), nullptr, source};
    const auto& patterns = op_patterns_.at(c.module);
    for (std::size_t i = patterns.size(); i-- > 0;) {
      if (!patterns[i].matches(graph_.name[to_size(node)])) continue;
      used_.insert(&c.module->op_name_config[i]);
      if (c.op == nullptr) {
        c.op = &c.module->op_name_config[i].value;
        c.source.op_level = op_config_level::name;
        c.source.op_entry = index_t(i);
      }
    }
    const auto& types = c.module->op_type_config;
    for (std::size_t i = types.size(); i-- > 0;) {
      if (canonical_op(types[i].key) != graph_.op(node)) continue;
      used_.insert(&types[i]);
      if (c.op == nullptr) {
        c.op = &types[i].value;
        c.source.op_level = op_config_level::type;
        c.source.op_entry = index_t(i);
      }
    }
    return c;
  }
  // The module_state_spec entry that decides for a state everywhere: levels name, then type; within a level
  // the module recorded first among those that own it under one of its names. Null if there is none.
  using state_map_type = decltype(module_config_type::module_state_spec);
  struct state_hit {
    const typename state_map_type::entry* entry = nullptr;
    config_source source;
  };
  state_hit module_state(index_t value) const {
    for (const config_level level : {config_level::name, config_level::type}) {
      if (const state_hit hit = module_state(value, level); hit.entry != nullptr) return hit;
    }
    return {};
  }
  // Why a map of a governing config, empty or not, says nothing of a tensor.
  static reason why_none(const choice& c, bool empty_map) {
    if (!empty_map) return reason::no_matching_key;
    return c.op == nullptr && has_form_of_only_for(*c.module) ? reason::not_in_only_for
                                                              : reason::group_off;
  }
  // Marks an entry of a spec map as having decided something.
  void use(const void* entry) {
    const void*& known = recent_[reinterpret_cast<std::uintptr_t>(entry) / 64 % recent_.size()];
    if (entry == known) return;  // mostly
    used_.insert(known = entry);
  }
  bool used(const void* entry) const { return used_.count(entry) != 0; }

  // "name 'conv1'", "type 'm.Conv2d', op type 'conv2d'", "global".
  std::string describe(const config_source& s) const {
    std::string text = "global";
    if (s.level == config_level::name) {
      text = "name " + text_of(std::string_view(config_.module_name_configs[to_size(s.entry)].key));
    } else if (s.level == config_level::type) {
      text = "type " + text_of(std::string_view(config_.module_type_configs[to_size(s.entry)].key));
    }
    const module_config_type& m = module_config(s.level, s.entry);
    if (s.op_level == op_config_level::name) {
      text += ", op name " + text_of(std::string_view(m.op_name_config[to_size(s.op_entry)].key));
    } else if (s.op_level == op_config_level::type) {
      text += ", op type " + text_of(std::string_view(m.op_type_config[to_size(s.op_entry)].key));
    }
    return text;
  }

  // One sentence for every entry that governs nothing and every key that named no tensor; "*" and what each
  // config has unless it says otherwise are not worth one.
  std::vector<std::string> unused_keys() const {
    std::vector<std::string> notes;
    const auto level = [&](const auto& map, const auto& matched, const auto& records,
                           const char* what) {
      std::vector<char> governs(map.size(), 0);
      for (const record& r : records) governs[to_size(r.entry)] = 1;
      for (std::size_t i = 0; i < map.size(); ++i) {
        const std::string entry = what + text_of(std::string_view(map[i].key));
        if (matched[i] == 0) {
          notes.push_back("config entry " + entry + " matches no module");
        } else if (governs[i] == 0) {
          notes.push_back("config entry " + entry + " is overridden by later entries");
        } else {
          unused_in_module(map[i].value, entry, notes);
        }
      }
    };
    level(config_.module_name_configs, name_matched_, names_, "name ");
    level(config_.module_type_configs, type_matched_, types_, "type ");
    unused_in_module(config_.global_config, "global", notes);
    return notes;
  }

 private:
  void compile_patterns() {
    const auto compile = [&](const module_config_type& m) {
      auto& patterns = op_patterns_[&m];
      for (const auto& e : m.op_name_config) patterns.emplace_back(e.key);
    };
    compile(config_.global_config);
    for (const auto& e : config_.module_type_configs) compile(e.value);
    for (const auto& e : config_.module_name_configs) compile(e.value);
  }
  // Children come after their parents, so going backwards meets children first.
  template <class Matches>
  void fill(std::vector<index_t>& table, std::vector<record>& records, index_t entry,
            std::vector<char>& matched, Matches&& matches) {
    const module_tree& modules = graph_.modules;
    for (index_t m = modules.size(); m-- > 0;) {
      if (modules.canonical(m) != m || !matches(m)) continue;
      matched[to_size(entry)] = 1;
      modules.for_each_below(m, [&](index_t at) {
        if (table[to_size(at)] >= 0) return false;
        table[to_size(at)] = entry;
        records.push_back({at, entry, at == m});
        return true;
      });
    }
  }
  // Records with a module_state_spec of their own: module -> position among the records, or -1; empty if there
  // are none.
  void state_ranks(config_level level, std::vector<index_t>& rank) const {
    for (std::size_t i = 0; i < records(level).size(); ++i) {
      const record& r = records(level)[i];
      const module_config_type& m = module_config(level, r.entry);
      if (!r.direct || !m.enabled || m.module_state_spec.empty()) continue;
      rank.resize(to_size(graph_.modules.size()), -1);
      rank[to_size(r.module)] = index_t(i);
    }
  }
  state_hit module_state(index_t value, config_level level) const {
    const std::vector<index_t>& rank = level == config_level::name ? name_ranks_ : type_ranks_;
    state_hit best;
    if (rank.empty()) return best;
    index_t best_rank = -1;
    for (const std::string& name : graph_.state_names[to_size(value)]) {
      const module_tree& modules = graph_.modules;
      const index_t r =
          rank[to_size(modules.canonical(modules.find(module_tree::parent_path(name))))];
      if (r < 0 || (best.entry != nullptr && best_rank < r)) continue;
      const index_t entry = records(level)[to_size(r)].entry;
      const state_map_type& map = module_config(level, entry).module_state_spec;
      const auto* e = map.find(module_tree::local_name(name));
      if (e == nullptr && best_rank != r) e = map.find("*");  // an exact name beats "*"
      if (e == nullptr) continue;
      best.entry = e;
      best.source.level = level;
      best.source.entry = entry;
      best_rank = r;
    }
    return best;
  }
  static bool has_form_of_only_for(const module_config_type& m) {
    bool silent = m.op_state_spec.empty();
    if constexpr (requires { m.op_input_spec; }) {
      silent = silent && m.op_input_spec.empty() && m.op_output_spec.empty();
    }
    return silent && std::any_of(m.op_type_config.begin(), m.op_type_config.end(),
                                 [](const auto& e) { return e.value.enabled && !e.value.empty(); });
  }

  void unused_in_module(const module_config_type& m, const std::string& where,
                        std::vector<std::string>& notes) const {
    unused_in_op_maps(m, where, notes);
    const auto ops = [&](const auto& map, const char* what) {
      for (const auto& e : map) {
        const std::string entry = where + what + text_of(std::string_view(e.key));
        if (!used(&e)) {
          notes.push_back("config entry " + entry + " matches no node");
        } else {
          unused_in_op_maps(e.value, entry, notes);
        }
      }
    };
    ops(m.op_name_config, ", op name ");
    ops(m.op_type_config, ", op type ");
    unused_in_map(m.module_state_spec, where + ", module_state_spec ", notes);
  }
  template <class Op>  // an op config, or a module config's own maps
  void unused_in_op_maps(const Op& c, const std::string& where,
                         std::vector<std::string>& notes) const {
    if constexpr (requires { c.op_input_spec; }) {
      unused_in_map(c.op_input_spec, where + ", op_input_spec ", notes);
      unused_in_map(c.op_output_spec, where + ", op_output_spec ", notes);
    }
    unused_in_map(c.op_state_spec, where + ", op_state_spec ", notes);
  }
  template <class Map>
  void unused_in_map(const Map& map, const std::string& where,
                     std::vector<std::string>& notes) const {
    for (const auto& e : map) {
      if (used(&e) || e.key == "*" || is_stock(map, e)) continue;
      notes.push_back("config entry " + where + key_text(e.key) + " matches no tensor");
    }
  }
  // A key of the default maps, with its default or with what the map says of "weight".
  static bool is_stock(const state_map_type& map, const typename state_map_type::entry& e) {
    static const op_config_type stock;
    const auto* same = stock.op_state_spec.find(e.key);
    if (same == nullptr) return false;
    const auto* weight = map.find("weight");
    return *same == e || (weight != nullptr && weight != &e && weight->value == e.value);
  }
  static bool is_stock(const spec_map&, const spec_map::entry&) { return false; }
  static std::string key_text(const operand_key& k) { return text_of(k); }
  static std::string key_text(const std::string& k) { return text_of(std::string_view(k)); }

  const Config& config_;
  const graph_index& graph_;
  std::vector<index_t> by_name_, by_type_;  // module -> entry
  std::vector<record> names_, types_;
  std::vector<index_t> name_ranks_, type_ranks_;
  std::vector<char> name_matched_, type_matched_;
  std::unordered_map<const module_config_type*, std::vector<name_pattern>> op_patterns_;
  std::unordered_set<const void*> used_;
  std::array<const void*, 16> recent_{};  // some that are in used_
};

}  // namespace lutra::inline LUTRA_ABI
