// lutra: module_tree.hpp - the modules a graph was traced from: paths, type names, aliases.
// SPDX-License-Identifier: Apache-2.0
//
// A path is dotted; "" is the root. Adding a path adds its ancestors. Modules are numbered in the order in
// which they were added, so a parent comes before its children. One module may be reachable under
// several paths: the first is canonical, the others are aliases.
#pragma once

#include <lutra/core/error.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Value type; concurrent reads are safe.
class module_tree {
 public:
  module_tree() { add(""); }

  // "a.b.c" -> "a.b"; "a" -> "".
  static std::string_view parent_path(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  }
  // "a.b.c" -> "c".
  static std::string_view local_name(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? path : path.substr(dot + 1);
  }

  // The number of `path`, added with its ancestors where new.
  index_t add(std::string_view path) {
    if (const auto found = number_.find(std::string(path)); found != number_.end()) {
      return found->second;
    }
    // Ancestors first, without recursion: a path may be long.
    index_t parent = path.empty() ? -1 : 0;
    index_t depth = 0;
    for (std::size_t dot = path.find('.'); dot != std::string_view::npos;) {
      if (++depth > max_depth) {
        raise(errc::invalid_graph, "a module path has too many levels", "module_tree",
              text_of(path.substr(0, 60)) + "...", text_of(max_depth) + " levels");
      }
      parent = add_one(path.substr(0, dot), parent);
      dot = path.find('.', dot + 1);
    }
    return add_one(path, parent);
  }
  // `alias` is another path of module `m`.
  void add_alias(index_t m, std::string_view alias) {
    const index_t other = add(alias);
    if (other == m) return;
    modules_[at(other)].canonical = m;
    modules_[at(m)].aliases.push_back(other);
  }
  void set_type(index_t m, std::string_view type) { modules_[at(m)].type = std::string(type); }

  index_t size() const noexcept { return static_cast<index_t>(modules_.size()); }
  const std::string& path(index_t m) const noexcept { return modules_[at(m)].path; }
  const std::string& type(index_t m) const noexcept { return modules_[at(m)].type; }
  index_t parent(index_t m) const noexcept { return modules_[at(m)].parent; }  // -1 of the root
  index_t canonical(index_t m) const noexcept { return modules_[at(m)].canonical; }
  const std::vector<index_t>& children(index_t m) const noexcept {
    return modules_[at(m)].children;
  }
  const std::vector<index_t>& aliases(index_t m) const noexcept { return modules_[at(m)].aliases; }
  // Calls f(module) for `m` and what lies below it, parents first; aliases count as their canonical module.
  // Does not go below a module for which f returns false.
  template <class F> void for_each_below(index_t m, F&& f) const {
    std::vector<index_t> waiting{m};
    while (!waiting.empty()) {
      const index_t here = waiting.back();
      waiting.pop_back();
      if (!f(here)) continue;
      const auto descend = [&](index_t from) {
        for (const index_t child : children(from)) waiting.push_back(canonical(child));
      };
      descend(here);
      for (const index_t alias : aliases(here)) descend(alias);
    }
  }
  index_t find(std::string_view path) const {
    const auto found = number_.find(std::string(path));
    return found == number_.end() ? -1 : found->second;
  }

 private:
  struct module {
    std::string path;
    std::string type;
    index_t parent = -1;
    index_t canonical = -1;
    std::vector<index_t> children;
    std::vector<index_t> aliases;
  };
  static constexpr index_t max_depth = 1000;
  static std::size_t at(index_t i) { return to_size(i); }

  index_t add_one(std::string_view path, index_t parent) {
    const auto [found, inserted] = number_.try_emplace(std::string(path), size());
    if (inserted) {
      const index_t m = size();
      modules_.push_back({std::string(path), {}, parent, m, {}, {}});
      if (parent >= 0) modules_[at(parent)].children.push_back(m);
    }
    return found->second;
  }

  std::vector<module> modules_;
  std::unordered_map<std::string, index_t> number_;
};

}  // namespace lutra::inline LUTRA_ABI
