// Prints the ratio table of one benchmark run. Usage: bench_summary [--json MERGED] RESULT.json...
//
// A benchmark is set against its peers and roofs of the same run:
//   - every name listed in its label, as "vs NAME [NAME...]"
//   - every "peer/<library>/X" where X is its own name or a leading part of it
// ratio > 1: faster than that peer. Roofs are given as the fraction reached. Rates are compared
// where both sides count bytes or items, times otherwise.
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace {

using json = nlohmann::json;

double nanoseconds(const json& b) {
  const auto unit = b.at("time_unit").get<std::string>();
  const double factor = unit == "s" ? 1e9 : unit == "ms" ? 1e6 : unit == "us" ? 1e3 : 1;
  return b.at("real_time").get<double>() * factor;
}

// How many times faster `own` is than `other`.
double ratio(const json& own, const json& other) {
  for (const char* rate : {"bytes_per_second", "items_per_second"}) {
    if (own.contains(rate) && other.contains(rate)) {
      return own.at(rate).get<double>() / other.at(rate).get<double>();
    }
  }
  return nanoseconds(other) / nanoseconds(own);
}

std::vector<std::string> references_of(const std::string& name,
                                       const std::map<std::string, json>& all) {
  std::vector<std::string> references;
  std::istringstream label(all.at(name).value("label", ""));
  std::string word;
  if (label >> word && word == "vs") {
    while (label >> word) references.push_back(word);
  }
  for (const auto& [other, result] : all) {
    if (!other.starts_with("peer/")) continue;
    const auto rest = other.find('/', 5);
    if (rest != std::string::npos && (name + '/').starts_with(other.substr(rest + 1) + '/')) {
      references.push_back(other);
    }
  }
  return references;
}

void print_rate(const json& b) {
  if (b.contains("bytes_per_second")) {
    std::printf("%10.2f GB/s", b.at("bytes_per_second").get<double>() / 1e9);
  } else if (b.contains("items_per_second")) {
    std::printf("%10.2f G/s ", b.at("items_per_second").get<double>() / 1e9);
  } else {
    std::printf("%15s", "");
  }
}

void print_table(const std::map<std::string, json>& all) {
  std::printf("%-52s %12s %15s  %s\n", "benchmark", "time [us]", "rate", "against");
  for (const auto& [name, b] : all) {
    std::printf("%-52s %12.3f ", name.c_str(), nanoseconds(b) / 1e3);
    print_rate(b);
    for (const auto& reference : references_of(name, all)) {
      if (!all.contains(reference)) {
        std::printf("  %s: not available", reference.c_str());
      } else if (reference.starts_with("roof/")) {
        std::printf("  %.0f %% of %s", 100 * ratio(b, all.at(reference)), reference.c_str());
      } else {
        std::printf("  %.2fx %s", ratio(b, all.at(reference)), reference.c_str());
      }
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string merged_file;
  json merged;
  std::map<std::string, json> all;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--json" && i + 1 < argc) {
      merged_file = argv[++i];
      continue;
    }
    // An executable in which the filter matches nothing leaves an empty file.
    const json result = json::parse(std::ifstream(argv[i]), nullptr, false);
    if (result.is_discarded()) continue;
    merged["context"] = result.at("context");
    for (const auto& b : result.at("benchmarks")) {
      merged["benchmarks"].push_back(b);
      if (b.value("run_type", "") == "iteration" && !b.value("error_occurred", false)) {
        all[b.at("name")] = b;
      } else if (b.value("error_occurred", false)) {
        std::printf("%s: %s\n", b.at("name").get<std::string>().c_str(),
                    b.at("error_message").get<std::string>().c_str());
      }
    }
  }
  print_table(all);
  if (!merged_file.empty()) std::ofstream(merged_file) << merged.dump(1) << '\n';
  return all.empty() ? 1 : 0;
}
