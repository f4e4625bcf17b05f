// Reads the sources and fails where they break the rules of the tree. Usage: test_layering SOURCE_DIR
//
//  - includes go down the order of `folders`, and no header includes itself through others
//  - every header has a test at the same path, or one for its subfolder, or a line in no_twin.txt
//  - xsimd only in simd/arch.hpp, Eigen only in tensor/eigen*.hpp, intrinsics only in simd/,
//    and none of them behind a header that is promised to be light; lutra.hpp reaches all the rest
//  - macros only in core/config.hpp and core/version.hpp; every header opens the same way
//  - the adaptation examples stay under 80 lines, README shows examples/quickstart.cpp as it is
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 14> folders = {
    "core",    "number",  "tensor",     "simd",    "cluster", "affine", "pack",
    "observe", "palette", "fake_quant", "runtime", "graph",   "flow",   "ir"};

int failures = 0;
void fail(const std::string& where, const std::string& what) {
  std::printf("%s: %s\n", where.c_str(), what.c_str());
  ++failures;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}
bool starts_with_any(std::string_view s, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view p) { return s.starts_with(p); });
}

struct header {
  std::vector<std::string> lines;
  std::vector<std::string> includes;  // "core/error.hpp", "xsimd/xsimd.hpp", "vector", ...
};
using tree = std::map<std::string, header>;  // by path below include/lutra

// The name in an include line, without <lutra/ for our own; empty for any other line.
std::string included(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (!line.starts_with("#include")) return {};
  const auto open = line.find_first_of("<\"");
  const auto close = line.find_first_of(">\"", open + 1);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return std::string(line.substr(open + 1, close - open - 1));
}

tree read_tree(const fs::path& include) {
  tree headers;
  for (const auto& entry : fs::recursive_directory_iterator(include / "lutra")) {
    if (entry.path().extension() != ".hpp") continue;
    header h{lines_of(entry.path()), {}};
    for (const auto& line : h.lines) {
      if (auto name = included(line); !name.empty()) h.includes.push_back(std::move(name));
    }
    headers[fs::relative(entry.path(), include / "lutra").generic_string()] = std::move(h);
  }
  return headers;
}

// Path below include/lutra if the name is ours, else empty.
std::string own(const std::string& name) {
  return name.starts_with("lutra/") ? name.substr(6) : std::string();
}
// Position of a header's folder in the order; headers of no folder (the umbrella) come last.
std::size_t layer_of(const std::string& path) {
  const auto at = std::find(folders.begin(), folders.end(), path.substr(0, path.find('/')));
  return static_cast<std::size_t>(at - folders.begin());
}

void check_layers(const tree& headers) {
  for (const auto& [path, h] : headers) {
    if (path.find('/') != std::string::npos && layer_of(path) == folders.size()) {
      fail(path, "lies in a folder without a layer");
    }
    for (const auto& name : h.includes) {
      const std::string target = own(name);
      if (target.empty()) continue;
      if (!headers.contains(target)) fail(path, "includes " + name + ", which does not exist");
      if (layer_of(target) > layer_of(path) ||
          (target.find('/') == std::string::npos && target != "fwd.hpp")) {
        fail(path, "includes upward: " + target);
      }
    }
  }
}

// Depth first; a header met again while it is still open closes a cycle.
void visit(const tree& headers, const std::string& path, std::set<std::string>& done,
           std::vector<std::string>& open) {
  if (done.contains(path) || !headers.contains(path)) return;
  if (std::find(open.begin(), open.end(), path) != open.end()) {
    std::string chain;
    for (const auto& p : open) chain += p + " -> ";
    fail(path, "include cycle: " + chain + path);
    return;
  }
  open.push_back(path);
  for (const auto& name : headers.at(path).includes) visit(headers, own(name), done, open);
  open.pop_back();
  done.insert(path);
}

void check_twins(const tree& headers, const fs::path& root) {
  std::set<std::string> exempt;
  for (const auto& line : lines_of(root / "tests/layering/no_twin.txt")) {
    const std::string path = line.substr(0, line.find(' '));
    if (!headers.contains(path)) fail("no_twin.txt", path + " is no header");
    exempt.insert(path);
  }
  if (exempt.size() > 10) fail("no_twin.txt", "has more than ten lines");
  for (const auto& [path, h] : headers) {
    const fs::path twin = root / "tests" / fs::path(path).replace_extension(".cpp");
    const fs::path of_subfolder = root / "tests" / (fs::path(path).parent_path() += ".cpp");
    const bool found = fs::exists(twin) || fs::exists(of_subfolder);
    if (found && exempt.contains(path)) fail("no_twin.txt", path + " has a test after all");
    if (!found && !exempt.contains(path)) fail(path, "has no test: " + twin.string());
  }
}

bool is_eigen(const std::string& name) {
  return starts_with_any(name, {"Eigen/", "unsupported/Eigen/"});
}
bool is_xsimd(const std::string& name) { return starts_with_any(name, {"xsimd/", "xtl/"}); }
bool is_intrinsics(const std::string& name) {
  return name.ends_with("intrin.h") || starts_with_any(name, {"arm_neon.h", "arm_acle.h"});
}

void check_dependencies(const tree& headers) {
  for (const auto& [path, h] : headers) {
    for (const auto& name : h.includes) {
      if (is_xsimd(name) && path != "simd/arch.hpp") fail(path, "includes " + name);
      if (is_eigen(name) && !path.starts_with("tensor/eigen")) fail(path, "includes " + name);
      if (is_intrinsics(name) && !path.starts_with("simd/")) fail(path, "includes " + name);
    }
  }
}

// Headers that users include widely; each of Eigen and xsimd costs more than a second.
bool is_light(const std::string& path) {
  return !path.starts_with("tensor/eigen") &&
         (starts_with_any(path, {"core/", "tensor/", "number/", "graph/"}) ||
          path.ends_with("spec.hpp") || path == "fwd.hpp" || path == "affine/qparams.hpp" ||
          path == "palette/packed.hpp" || path == "observe/observer.hpp");
}
// Everything of ours that including `path` brings in, itself included.
std::set<std::string> reached_from(const tree& headers, const std::string& path) {
  std::set<std::string> reached = {path};
  std::vector<std::string> open = {path};
  while (!open.empty()) {
    const std::string at = open.back();
    open.pop_back();
    if (!headers.contains(at)) continue;
    for (const auto& name : headers.at(at).includes) {
      if (reached.insert(own(name)).second) open.push_back(own(name));
    }
  }
  return reached;
}
void check_reach(const tree& headers) {
  for (const auto& [path, h] : headers) {
    if (!is_light(path)) continue;
    const auto reached = reached_from(headers, path);
    for (const std::string heavy : {"simd/arch.hpp", "tensor/eigen.hpp"}) {
      if (reached.contains(heavy)) fail(path, "is light, reaches " + heavy);
    }
  }
  // The umbrella holds all that needs only std, Eigen's stable modules and xsimd, and that any file may include.
  const auto umbrella = reached_from(headers, "lutra.hpp");
  for (const auto& [path, h] : headers) {
    const bool needs_more = path == "core/executor_tbb.hpp" || path == "tensor/eigen_tensor.hpp" ||
                            path == "graph/config_json.hpp" || path == "flow/report_json.hpp" ||
                            path == "runtime/kernels.hpp" ||
                            (path.starts_with("graph/json/") && path != "graph/json/fields.hpp");
    if (umbrella.contains(path) == needs_more) {
      fail("lutra.hpp", (needs_more ? "reaches " : "does not reach ") + path);
    }
  }
}

void check_text(const tree& headers) {
  for (const auto& [path, h] : headers) {
    const std::string opening = "// lutra: " + fs::path(path).filename().string() + " - ";
    if (h.lines.size() < 3 || !h.lines[0].starts_with(opening) ||
        h.lines[1] != "// SPDX-License-Identifier: Apache-2.0") {
      fail(path, "does not open with '" + opening + "...' and the SPDX line");
    }
    if (std::count(h.lines.begin(), h.lines.end(), "#pragma once") != 1) {
      fail(path, "needs one #pragma once");
    }
    for (const auto& line : h.lines) {
      const std::string_view code =
          std::string_view(line).substr(std::min(line.find_first_not_of(' '), line.size()));
      if (code.starts_with("#define") && path != "core/config.hpp" && path != "core/version.hpp") {
        fail(path, "defines a macro: " + line);
      }
      if (std::any_of(line.begin(), line.end(), [](char c) { return c < 0; })) {
        fail(path, "is not ASCII: " + line);
      }
    }
  }
}

void check_examples(const fs::path& root) {
  for (const std::string name : {"adapt_tensor.cpp", "adapt_graph.cpp"}) {
    const auto lines = lines_of(root / "examples" / name);
    std::vector<std::ptrdiff_t> markers;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].find("// [adapt]") != std::string::npos) {
        markers.push_back(static_cast<std::ptrdiff_t>(i));
      }
    }
    if (markers.size() != 2) {
      fail(name, "needs two '// [adapt]' markers");
    } else if (const auto count = markers[1] - markers[0] - 1; count >= 80) {
      fail(name, std::to_string(count) + " lines between the markers, allowed: below 80");
    }
  }
}

void check_readme(const fs::path& root) {
  const std::string example = text_of(root / "examples/quickstart.cpp");
  const std::string readme = text_of(root / "README.md");
  const auto open = readme.find("```cpp\n");
  if (example.empty() || open == std::string::npos ||
      readme.compare(open + 7, example.size() + 3, example + "```") != 0) {
    fail("README.md", "the first C++ block is not examples/quickstart.cpp");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::puts("usage: test_layering SOURCE_DIR");
    return 2;
  }
  const fs::path root = argv[1];
  const tree headers = read_tree(root / "include");
  check_layers(headers);
  std::set<std::string> done;
  for (const auto& [path, h] : headers) {
    std::vector<std::string> open;
    visit(headers, path, done, open);
  }
  check_twins(headers, root);
  check_dependencies(headers);
  check_reach(headers);
  check_text(headers);
  check_examples(root);
  check_readme(root);
  std::printf("%zu headers, %d violations\n", headers.size(), failures);
  return failures == 0 ? 0 : 1;
}
