// Palettization of N(0, 0.02) weights, one thread, against the packages people use for it (bench/peers).
// bytes_per_second counts each weight once and one byte per code; counters give the inertia and the proven gap.
// Before timing, inertia is recomputed from tables and codes, and the bound is compared with it.
// With LUTRA_BENCH_DATA=FOLDER the weights are written there, so that peers in other languages get the same.
#include <cstdlib>
#include <fstream>
#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <roof.hpp>
#include <utility>

namespace {

using namespace lutra;

const tensor<float>& normal_weight(index_t side) {
  static std::map<index_t, tensor<float>> made;
  auto& w = made[side];
  if (w.size() > 0) return w;
  w = tensor<float>({side, side});
  random_stream random(1);
  for (float& x : w.elements()) x = static_cast<float>(random.normal() * 0.02);
  if (const char* folder = std::getenv("LUTRA_BENCH_DATA")) {
    const std::string name = std::string(folder) + "/normal_" + std::to_string(side) + ".f32";
    std::ofstream(name, std::ios::binary)
        .write(reinterpret_cast<const char*>(w.data()), w.size() * 4);
  }
  return w;
}
template <class T> tensor<T> weight_of(index_t side) {
  return tensor<T>::copy_of(normal_weight(side));
}

double total(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum;
}

// sum (w - lut[code] * row scale)^2 over all groups, in double.
template <class T> double inertia_of(const tensor<T>& w, const palette<float>& p) {
  double all = 0;
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    double sum = 0;
    for (index_t i = first; i < first + length; ++i) {
      if (i % 4096 == 0) all += std::exchange(sum, 0.0);  // short sums lose less
      const auto at =
          static_cast<std::size_t>(group * p.entries() + p.codes[static_cast<std::size_t>(i)]);
      double entry = static_cast<double>(p.lut[at]);
      if (!p.row_scale.empty()) {
        entry *= static_cast<double>(p.row_scale[static_cast<std::size_t>(i / w.extents()[1])]);
      }
      const double d = static_cast<double>(static_cast<float>(w[i])) - entry;
      sum += d * d;
    }
    all += sum;
  });
  return all;
}

template <class T>
void measure(benchmark::State& state, index_t side, const palettization_spec& spec,
             const palettize_options& options) {
  const tensor<T> w = weight_of<T>(side);
  const palette<float> p = palettize(w, spec, options);
  const double reported = total(p.inertia), bound = total(p.lower_bound);
  const double computed = inertia_of(w, p);
  if (std::abs(computed - reported) > 1e-9 * computed || bound > computed * (1 + 1e-9)) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) benchmark::DoNotOptimize(palettize(w, spec, options).lut.data());
  state.SetItemsProcessed(state.iterations() * w.size());
  state.SetBytesProcessed(state.iterations() * w.size() * (static_cast<index_t>(sizeof(T)) + 1));
  state.counters["inertia"] = computed;
  if (bound > 0) state.counters["gap"] = computed / bound - 1;
}

template <class T>
void add(const std::string& mode, const std::string& type, index_t side, int bits, index_t groups,
         std::initializer_list<const char*> peers, bool row_scale = false) {
  const std::string size = std::to_string(side);
  const std::string name =
      "palettize/" + mode + '/' + type + '/' + size + 'x' + size + "/bits:" + std::to_string(bits) +
      (groups > 1 ? "/groups:" + std::to_string(groups) : "") + (row_scale ? "/row_scale" : "");
  palettization_spec spec{.n_bits = bits};
  spec.enable_per_channel_scale = row_scale;
  if (groups > 1) spec.granularity = granularity::per_grouped_channel(side / groups, 0);
  palettize_options options;
  if (mode == "exact") options.mode = palettize_mode::exact;
  if (mode == "reference_fast") options.mode = palettize_mode::reference_fast;
  std::string label = "vs";
  for (const char* library : peers) label += std::string(" peer/") + library + '/' + name;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    state.SetLabel(label);
    measure<T>(state, side, spec, options);
  })->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool registered = [] {
  benchmark::RegisterBenchmark("roof/read/64MiB", [](benchmark::State& state) {
    bench::read_all(state, bench::large.bytes);
  });
  add<float>("certified", "f32", 4096, 4, 1, {"coreml_fast", "faiss", "sklearn", "kmeans1d"});
  add<float>("certified", "f32", 4096, 8, 1, {"coreml_fast", "faiss"});
  add<bfloat16>("certified", "bf16", 4096, 4, 1, {"coreml_fast"});
  add<float>("certified", "f32", 1024, 4, 1, {"coreml_fast", "faiss", "sklearn"});
  add<float>("certified", "f32", 1024, 4, 1024, {"coreml_fast"});
  add<float>("certified", "f32", 1024, 8, 1024, {});
  add<float>("certified", "f32", 1024, 4, 1, {}, true);
  add<float>("certified", "f32", 1024, 8, 1, {}, true);
  add<float>("exact", "f32", 1024, 4, 1, {"kmeans1d"});
  add<float>("reference_fast", "f32", 1024, 4, 1, {});
  return true;
}();

}  // namespace
