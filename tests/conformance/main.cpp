// lutra_conformance KIND FILE...: runs the cases of conformance files and prints every one that fails.
// SPDX-License-Identifier: Apache-2.0
//
// KIND is quantization, palettization, graph or optimal_1d. Output: one line per failing case (id,
// expected, got), then "N passed, N failed". Exit code 0 if nothing failed, 1 if something did, 2 if
// the arguments or a file cannot be used.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "report.hpp"

namespace {

using runner = void (*)(const nlohmann::json&, conformance_report&);

runner runner_of(std::string_view kind) {
  if (kind == "quantization") return run_quantization;
  if (kind == "palettization") return run_palettization;
  if (kind == "graph") return run_graph;
  if (kind == "optimal_1d") return run_optimal_1d;
  return nullptr;
}

int unusable(const std::string& message) {
  std::cerr << "lutra_conformance: " << message << '\n';
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    return unusable("usage: lutra_conformance quantization|palettization|graph|optimal_1d FILE...");
  }
  const runner run = runner_of(argv[1]);
  if (run == nullptr) {
    return unusable("unknown kind '" + std::string(argv[1]) +
                    "', allowed: quantization, palettization, graph, optimal_1d");
  }
  conformance_report report;
  for (int i = 2; i < argc; ++i) {
    const std::string path = argv[i];
    std::ifstream in(path);
    if (!in) return unusable("cannot read '" + path + "'");
    try {
      const nlohmann::json file = nlohmann::json::parse(in);
      if (!file.is_object() || !file.contains("cases")) {
        return unusable("'" + path + "' has no list of cases");
      }
      run(file, report);
    } catch (const nlohmann::json::exception& e) {
      return unusable("'" + path + "' is not a file of cases: " + e.what());
    } catch (const std::exception& e) {
      return unusable("'" + path + "': " + e.what());
    }
  }
  std::cout << report.passed() << " passed, " << report.failed() << " failed\n";
  return report.failed() == 0 ? 0 : 1;
}
