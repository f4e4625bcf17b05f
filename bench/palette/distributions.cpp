// How good the palettes are, and how long they take, on weights of many shapes: three modes beside each other.
// Counters: `excess` is inertia / optimum - 1 (0 when both are 0), the optimum being that of mode `exact`, by one
// common sum in double; `gap` is what the mode itself has proven. Nothing here is compared with peers. The
// answers that are timed are the ones that are checked: none may be better than the
// optimum.
#include <algorithm>
#include <common/safetensors.hpp>
#include <lutra/core/random.hpp>
#include <lutra/number/half.hpp>
#include <lutra/number/log2.hpp>
#include <lutra/palette/palettize.hpp>
#include <map>
#include <roof.hpp>
#include <utility>

namespace {

using namespace lutra;

constexpr index_t elements = 1 << 18;
using draw = double (*)(random_stream&);

double exponential(random_stream& r) {
  return -0.6931471805599453 * log2_of(r.uniform() + 0x1p-60);
}
double sign(random_stream& r) { return r.uniform() < 0.5 ? -1.0 : 1.0; }
// Student's t: a normal over the root of a mean of `freedom` squared normals.
double student(random_stream& r, int freedom) {
  double squares = 0;
  for (int i = 0; i < freedom; ++i) {
    const double z = r.normal();
    squares += z * z;
  }
  return r.normal() / std::sqrt(squares / freedom + 1e-12);
}

struct distribution {
  const char* name;
  draw value;
};
constexpr distribution drawn[] = {
    {"normal", [](random_stream& r) { return 0.02 * r.normal(); }},
    {"uniform", [](random_stream& r) { return r.uniform() - 0.5; }},
    {"laplace", [](random_stream& r) { return sign(r) * exponential(r); }},
    {"student_t2", [](random_stream& r) { return student(r, 2); }},
    {"student_t3", [](random_stream& r) { return student(r, 3); }},
    {"bimodal",
     [](random_stream& r) { return (r.uniform() < 0.3 ? -2.0 : 3.0) + 0.3 * r.normal(); }},
    {"exponential", [](random_stream& r) { return exponential(r); }},
    {"relu", [](random_stream& r) { return std::max(r.normal(), 0.0); }},
    {"far_from_zero", [](random_stream& r) { return 1000.0 + 0.02 * r.normal(); }},
    {"few_values", [](random_stream& r) { return static_cast<double>(r.below(40)); }},
    {"rounded_to_half",
     [](random_stream& r) {
       return static_cast<double>(static_cast<float>(half(static_cast<float>(0.02 * r.normal()))));
     }},
    {"mixture",
     [](random_stream& r) { return (r.uniform() < 0.001 ? 40.0 : 1.0) * 0.02 * r.normal(); }},
    {"tiny_scale", [](random_stream& r) { return 1e-30 * r.normal(); }},
    {"huge_scale", [](random_stream& r) { return 1e30 * r.normal(); }},
    {"subnormal", [](random_stream& r) { return 1e-41 * r.normal(); }},
    {"constant", [](random_stream&) { return 0.1; }},
};

tensor<float> weight_of(const std::string& name) {
  if (name.starts_with("mnist_")) {
    lutra_examples::safetensors_reader file(std::string(LUTRA_SOURCE_DIR) +
                                            "/examples/data/mnist_cnn.safetensors");
    return file.read<float>(name.substr(6));
  }
  tensor<float> w({elements});
  random_stream random(7);
  const auto found =
      std::ranges::find(drawn, name, [](const auto& d) { return std::string(d.name); });
  const draw value = found == std::end(drawn) ? drawn[0].value : found->value;
  for (float& x : w.elements()) x = static_cast<float>(value(random));
  if (name == "sorted") std::ranges::sort(w.elements());
  if (name == "outlier_1e3_sigma") w[elements / 2] = 0.02F * 1e3F;
  if (name == "outlier_1e6_sigma") w[elements / 2] = 0.02F * 1e6F;
  return w;
}

double inertia_of(const tensor<float>& w, const palette<float>& p) {
  // Sums of few squares, then of many: the error stays far below what is compared.
  double all = 0, few = 0;
  for (index_t i = 0; i < w.size(); ++i) {
    const double d = static_cast<double>(w[i]) -
                     static_cast<double>(p.lut[p.codes[static_cast<std::size_t>(i)]]);
    few += d * d;
    if (i % 256 == 255) all += std::exchange(few, 0.0);
  }
  return all + few;
}
// What mode `exact` has found, or finds if it has not run.
double& optimum_of(const std::string& name, int bits) {
  static std::map<std::pair<std::string, int>, double> known;
  return known.try_emplace({name, bits}, -1.0).first->second;
}

void measure(benchmark::State& state, const std::string& name, palettize_mode mode, int bits) {
  const tensor<float> w = weight_of(name);
  const palettization_spec spec{.n_bits = bits};
  palettize_options options;
  options.mode = mode;
  palette<float> p;
  for (auto _ : state) {
    p = palettize(w, spec, options);
    benchmark::DoNotOptimize(p.lut.data());
  }
  const double inertia = inertia_of(w, p);
  double& optimum = optimum_of(name, bits);
  if (mode == palettize_mode::exact) optimum = inertia;
  if (optimum < 0) {
    optimum = inertia_of(w, palettize(w, spec, {.mode = palettize_mode::exact}));
  }
  // Tables are rounded to float, the optimum's too.
  if (inertia < optimum * (1 - 1e-6)) return state.SkipWithError("better than the optimum");
  state.SetItemsProcessed(state.iterations() * w.size());
  state.SetBytesProcessed(state.iterations() * w.size() * 5);
  state.counters["inertia"] = inertia;
  state.counters["excess"] = inertia == optimum ? 0.0 : inertia / optimum - 1;
  if (mode != palettize_mode::reference_fast) {
    const double bound = p.lower_bound[0];
    state.counters["gap"] = inertia <= bound ? 0.0 : inertia / bound - 1;
  }
}

[[maybe_unused]] const bool registered = [] {
  std::vector<std::string> names;
  for (const distribution& d : drawn) names.emplace_back(d.name);
  for (const char* other : {"sorted", "outlier_1e3_sigma", "outlier_1e6_sigma",
                            "mnist_conv1.weight", "mnist_fc.weight"}) {
    names.emplace_back(other);
  }
  constexpr std::pair<const char*, palettize_mode> modes[] = {
      {"exact", palettize_mode::exact},
      {"certified", palettize_mode::certified},
      {"reference_fast", palettize_mode::reference_fast}};
  for (const std::string& name : names) {
    for (const int bits : {4, 8}) {
      for (const auto& [text, mode] : modes) {
        const std::string full =
            "distribution/" + name + "/bits:" + std::to_string(bits) + '/' + text;
        benchmark::RegisterBenchmark(full.c_str(), [=, m = mode](benchmark::State& state) {
          measure(state, name, m, bits);
        })->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
