// Prints the ratio table of one benchmark run.
// Usage: bench_summary [--json MERGED] [--goals FILE] RESULT.json...
//
// A benchmark is set against its peers and roofs of the same run:
//   - every name listed in its label, as "vs NAME [NAME...]"
//   - every "peer/<library>/X" where X is its own name or, if the label lists none, a leading part of it
//   - every reference that the goals name for it
// ratio > 1: faster than that peer. Roofs are given as the fraction reached. Rates are compared where both sides
// count the same, times otherwise: with peers items, since they may move other bytes for the same job; else output
// written, bytes, items. Roofs measured by the same
// executable come first: they ran closest in time. Where both have an inertia, ours / theirs follows.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using json = nlohmann::json;

// All run on one thread: CPU time is what a busy machine does not spoil.
double nanoseconds(const json& b) {
  const auto unit = b.at("time_unit").get<std::string>();
  const double factor = unit == "s" ? 1e9 : unit == "ms" ? 1e6 : unit == "us" ? 1e3 : 1;
  return b.at("cpu_time").get<double>() * factor;
}

// How many times faster `own` is than `other`; nothing if they have neither a rate nor a time in common.
std::optional<double> ratio(const json& own, const json& other, bool peer) {
  if (other.contains("peak_bytes") && !other.contains("cpu_time")) {  // a limit of memory
    if (!own.contains("peak_bytes")) return {};
    return other.at("peak_bytes").get<double>() / own.at("peak_bytes").get<double>();
  }
  const char* of_peers[] = {"items_per_second", "written_per_second", "bytes_per_second"};
  const char* of_roofs[] = {"written_per_second", "bytes_per_second", "items_per_second"};
  for (const char* rate : peer ? of_peers : of_roofs) {
    if (own.contains(rate) && other.contains(rate)) {
      return own.at(rate).get<double>() / other.at(rate).get<double>();
    }
  }
  if (!other.contains("cpu_time")) return {};
  return nanoseconds(other) / nanoseconds(own);
}

// All results, file by file.
using run = std::map<std::string, json>;
const json* find(const std::vector<run>& runs, const run& own, const std::string& name) {
  if (const auto at = own.find(name); at != own.end()) return &at->second;
  for (const run& other : runs) {
    if (const auto at = other.find(name); at != other.end()) return &at->second;
  }
  return nullptr;
}

struct goal {
  double must = 0, stretch = 0;
  // On which CPUs it counts: where `measure`, a roof of the same run, reaches a rate of items or, with `below`, does not.
  std::string measure;
  bool below = false;
  double rate = 0;
};
using goal_list =
    std::map<std::pair<std::string, std::string>, goal>;  // of benchmark and reference

// Whether the goal counts on this CPU, which it does if that cannot be said.
bool applies(const goal& g, const json* measure) {
  if (measure == nullptr || !measure->contains("items_per_second")) return true;
  return (measure->at("items_per_second").get<double>() < g.rate) == g.below;
}

// What goals name as references: times, rates of items, peak heap ("limit/50ms", "limit/140G/s", "limit/1GB").
run limits_of(const goal_list& goals) {
  run limits;
  for (const auto& [names, wanted] : goals) {
    double amount = 0;
    int length = 0;
    if (std::sscanf(names.second.c_str(), "limit/%lf%n", &amount, &length) != 1) continue;
    const std::string unit = names.second.substr(static_cast<std::size_t>(length));
    if (unit == "ms") limits[names.second] = {{"cpu_time", amount}, {"time_unit", "ms"}};
    if (unit == "GB") limits[names.second] = {{"peak_bytes", amount * 1e9}};
    if (unit == "G/s") limits[names.second] = {{"items_per_second", amount * 1e9}};
  }
  return limits;
}

std::vector<std::string> references_of(const std::string& name, const json& result,
                                       const std::vector<run>& runs, const goal_list& goals) {
  std::vector<std::string> references;
  const auto add = [&](const std::string& reference) {
    if (std::ranges::find(references, reference) == references.end())
      references.push_back(reference);
  };
  for (const auto& [names, wanted] : goals) {
    if (names.first == name && names.second.starts_with("limit/")) add(names.second);
  }
  std::istringstream label(result.value("label", ""));
  std::string word;
  if (label >> word && word == "vs") {
    while (label >> word) add(word);
  }
  const bool listed =
      std::ranges::any_of(references, [](const auto& r) { return r.starts_with("peer/"); });
  for (const run& r : runs) {
    for (const auto& [other, peer] : r) {
      if (!other.starts_with("peer/")) continue;
      const auto rest = other.find('/', 5);
      if (rest == std::string::npos) continue;
      const std::string what = other.substr(rest + 1);
      if (what == name || (!listed && (name + '/').starts_with(what + '/'))) add(other);
    }
  }
  for (const auto& [names, wanted] : goals) {
    if (names.first == name) add(names.second);
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

// The repetition that took the median time; one with an error, if there is any.
json median(std::vector<json>& repetitions) {
  const auto failed =
      std::ranges::find_if(repetitions, [](const json& b) { return b.contains("error_message"); });
  if (failed != repetitions.end()) return *failed;
  const auto middle = repetitions.begin() + std::ssize(repetitions) / 2;
  std::ranges::nth_element(repetitions, middle, {}, nanoseconds);
  return *middle;
}

goal_list read_goals(const std::string& file) {
  goal_list goals;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, reference;
    goal g;
    if (line.starts_with('#') || !(words >> name >> reference >> g.must >> g.stretch)) continue;
    std::string sense, rate;
    if (words >> sense >> g.measure >> rate && (sense == "from" || sense == "below")) {
      g.below = sense == "below";
      int length = 0;
      if (std::sscanf(rate.c_str(), "%lfG/s%n", &g.rate, &length) == 1) g.rate *= 1e9;
      if (length != static_cast<int>(rate.size())) g.measure.clear();
    } else {
      g.measure.clear();
    }
    goals[{name, reference}] = g;
  }
  return goals;
}
void print_goal(std::optional<double> reached, const goal& g, const json* measure) {
  const char* verdict = !applies(g, measure)    ? "not for this CPU"
                        : !reached              ? "not known"
                        : *reached >= g.stretch ? "stretch met"
                        : *reached >= g.must    ? "met"
                                                : "MISSED";
  std::printf(" [goal %g, stretch %g: %s]", g.must, g.stretch, verdict);
}

void print_reference(const json& own, const std::string& name, const json* reference,
                     const goal* wanted, const json* measure) {
  std::optional<double> reached;
  std::string problem;
  if (reference == nullptr) {
    problem = "not available";
  } else if (reference->contains("error_message")) {
    problem = reference->at("error_message").get<std::string>();
  } else {
    reached = ratio(own, *reference, name.starts_with("peer/"));
    if (!reached) problem = "not comparable";
  }
  if (!reached) {
    std::printf("  %s: %s", name.c_str(), problem.c_str());
  } else if (name.starts_with("roof/")) {
    std::printf("  %.0f %% of %s", 100 * *reached, name.c_str());
  } else {
    std::printf("  %.2fx %s", *reached, name.c_str());
    if (own.contains("inertia") && reference->contains("inertia")) {
      std::printf(" (inertia %.8f)",
                  own.at("inertia").get<double>() / reference->at("inertia").get<double>());
    }
  }
  if (wanted != nullptr) print_goal(reached, *wanted, measure);
}

void print_table(const std::vector<run>& runs, const goal_list& goals) {
  const run limits = limits_of(goals);
  std::printf("%-52s %12s %15s  %s\n", "benchmark", "time [us]", "rate", "against");
  for (const run& own : runs) {
    for (const auto& [name, b] : own) {
      if (b.contains("error_message")) continue;
      std::printf("%-52s %12.3f ", name.c_str(), nanoseconds(b) / 1e3);
      print_rate(b);
      if (b.contains("gap")) std::printf("  gap %.1e", b.at("gap").get<double>());
      if (b.contains("peak_bytes")) {
        std::printf("  peak heap %.2f GB", b.at("peak_bytes").get<double>() / 1e9);
      }
      for (const auto& reference : references_of(name, b, runs, goals)) {
        const auto wanted = goals.find({name, reference});
        print_reference(
            b, reference,
            limits.contains(reference) ? &limits.at(reference) : find(runs, own, reference),
            wanted == goals.end() ? nullptr : &wanted->second,
            wanted == goals.end() ? nullptr : find(runs, own, wanted->second.measure));
      }
      std::printf("\n");
    }
  }
  for (const run& own : runs) {
    for (const auto& [name, b] : own) {
      if (!b.contains("error_message")) continue;
      std::printf("%s: %s\n", name.c_str(), b.at("error_message").get<std::string>().c_str());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string merged_file;
  json merged;
  std::vector<run> runs;
  goal_list goals;
  bool any = false, wrong = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--json" && i + 1 < argc) {
      merged_file = argv[++i];
      continue;
    }
    if (std::string(argv[i]) == "--goals" && i + 1 < argc) {
      goals = read_goals(argv[++i]);
      continue;
    }
    // An executable in which the filter matches nothing leaves an empty file.
    const json result = json::parse(std::ifstream(argv[i]), nullptr, false);
    if (result.is_discarded()) continue;
    merged["context"].update(result.at("context"));
    std::map<std::string, std::vector<json>> repetitions;
    for (const auto& b : result.at("benchmarks")) {
      merged["benchmarks"].push_back(b);
      if (b.value("run_type", "iteration") != "iteration") continue;
      const auto name = b.at("name").get<std::string>();
      repetitions[name].push_back(b);
      any = true;
      // A peer may be missing, an answer of ours must not be wrong.
      wrong |= b.value("error_occurred", false) && !name.starts_with("peer/");
    }
    run& own = runs.emplace_back();
    for (auto& [name, all] : repetitions) own[name] = median(all);
  }
  print_table(runs, goals);
  if (!merged_file.empty()) std::ofstream(merged_file) << merged.dump(1) << '\n';
  return any && !wrong ? 0 : 1;
}
