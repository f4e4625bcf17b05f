// Runs the cases of optimal_1d.json: exact_1d must reach the optimum.
#include <cmath>
#include <lutra/cluster/exact_1d.hpp>
#include <nlohmann/json.hpp>

#include "report.hpp"

namespace {

// Numbers are f32 in text: parse as double, round to float.
std::vector<double> numbers(const nlohmann::json& list) {
  std::vector<double> out;
  for (const auto& x : list)
    out.push_back(static_cast<double>(static_cast<float>(x.get<double>())));
  return out;
}

// Inertia of an assignment to centroids, recomputed here in extended precision.
double inertia_of(const std::vector<double>& x, const std::vector<double>& w,
                  const lutra::exact_1d_result& r) {
  long double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double d =
        static_cast<long double>(x[i]) - static_cast<long double>(r.centroids.at(r.codes.at(i)));
    sum += (w.empty() ? 1.0L : static_cast<long double>(w[i])) * d * d;
  }
  return static_cast<double>(sum);
}

bool close(double got, double expected, double scale) {
  return std::fabs(got - expected) <= (expected == 0 ? 1e-24 * scale : 1e-9 * expected);
}

}  // namespace

void run_optimal_1d(const nlohmann::json& file, conformance_report& report) {
  for (const auto& c : file.at("cases")) {
    const auto id = c.at("name").get<std::string>();
    const std::vector<double> x = numbers(c.at("values"));
    std::vector<double> w;
    if (!c.at("weights").is_null()) w = numbers(c.at("weights"));
    const auto expected = c.at("optimal_inertia").get<double>();
    const lutra::exact_1d_result r =
        lutra::exact_1d(std::span<const double>(x), w, c.at("n_clusters").get<int>());
    double square = 0;
    for (std::size_t i = 0; i < x.size(); ++i) square += (w.empty() ? 1 : w[i]) * x[i] * x[i];
    const double actual = inertia_of(x, w, r);
    if (!close(actual, expected, square) || !close(r.inertia, expected, square)) {
      report.fail(id, "inertia " + lutra::text_of(expected),
                  lutra::text_of(actual) + ", reported " + lutra::text_of(r.inertia));
    } else if (r.centroids.size() != c.at("centroids").size()) {
      report.fail(id, std::to_string(c.at("centroids").size()) + " centroids",
                  std::to_string(r.centroids.size()));
    } else {
      report.pass(id);
    }
  }
}
