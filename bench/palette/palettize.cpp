// Palettization of N(0, 0.02) weights, one thread, against the packages people use for it (bench/peers).
// bytes_per_second counts each weight once and one byte per code; counters give the inertia, the proven gap and the
// peak of the heap, the palette included. Before timing, inertia is recomputed from tables and codes, and the
// bound is compared with it.
// LUTRA_BENCH_SLOW adds what takes over 20 s. With LUTRA_BENCH_DATA=FOLDER the weights are written there, so that
// peers in other languages get the same.
#include <cstdlib>
#include <fstream>
#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <palette/peak_heap.hpp>
#include <roof.hpp>
#include <unordered_set>
#include <utility>

namespace {

using namespace lutra;

enum class draws { plain, distinct };  // distinct: no value twice

const tensor<float>& normal_weight(const shape& extents, draws how) {
  static std::map<std::string, tensor<float>> made;
  const std::string name = (how == draws::distinct ? "distinct_" : "normal_") +
                           std::to_string(extents[0]) + 'x' + std::to_string(extents[1]) + ".f32";
  auto& w = made[name];
  if (w.size() > 0) return w;
  w = tensor<float>(extents);
  random_stream random(1);
  std::unordered_set<float> seen;
  for (float& x : w.elements()) {
    do {
      x = static_cast<float>(random.normal() * 0.02);
    } while (how == draws::distinct && !seen.insert(x).second);
  }
  if (const char* folder = std::getenv("LUTRA_BENCH_DATA")) {
    std::ofstream(std::string(folder) + '/' + name, std::ios::binary)
        .write(reinterpret_cast<const char*>(w.data()), w.size() * 4);
  }
  return w;
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

// What is palettized, and how.
struct setting {
  std::string mode, type;
  shape extents;
  int bits;
  index_t groups = 1;
  draws how = draws::plain;
  bool row_scale = false;

  std::string name() const {
    return "palettize/" + mode + '/' + type + '/' + std::to_string(extents[0]) + 'x' +
           std::to_string(extents[1]) + "/bits:" + std::to_string(bits) +
           (groups > 1 ? "/groups:" + std::to_string(groups) : "") +
           (how == draws::distinct ? "/distinct" : "") + (row_scale ? "/row_scale" : "");
  }
  palettization_spec spec() const {
    palettization_spec s{.n_bits = bits};
    s.enable_per_channel_scale = row_scale;
    if (groups > 1) s.granularity = granularity::per_grouped_channel(extents[0] / groups, 0);
    return s;
  }
  palettize_options options() const {
    palettize_options o;
    if (mode == "exact") o.mode = palettize_mode::exact;
    if (mode == "reference_fast") o.mode = palettize_mode::reference_fast;
    return o;
  }
};

template <class T> void measure(benchmark::State& state, const setting& s) {
  const tensor<T> w = tensor<T>::copy_of(normal_weight(s.extents, s.how));
  const palettization_spec spec = s.spec();
  const palettize_options options = s.options();
  palette<float> p;
  const double peak = bench::peak_heap_of([&] { p = palettize(w, spec, options); });
  const double reported = total(p.inertia), bound = total(p.lower_bound);
  const double computed = inertia_of(w, p);
  if (std::abs(computed - reported) > 1e-9 * computed || bound > computed * (1 + 1e-9)) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) benchmark::DoNotOptimize(palettize(w, spec, options).lut.data());
  state.SetItemsProcessed(state.iterations() * w.size());
  state.SetBytesProcessed(state.iterations() * w.size() * (static_cast<index_t>(sizeof(T)) + 1));
  state.counters["inertia"] = computed;
  state.counters["peak_bytes"] = peak;
  if (bound > 0) state.counters["gap"] = computed / bound - 1;
}

template <class T> void add(const setting& s, std::initializer_list<const char*> peers) {
  std::string label = "vs";
  for (const char* library : peers) label += std::string(" peer/") + library + '/' + s.name();
  benchmark::RegisterBenchmark(s.name().c_str(), [=](benchmark::State& state) {
    state.SetLabel(label);
    measure<T>(state, s);
  })->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool registered = [] {
  benchmark::RegisterBenchmark("roof/read/64MiB", [](benchmark::State& state) {
    bench::read_all(state, bench::large.bytes);
  });
  const shape small{256, 256}, square{1024, 1024}, large{4096, 4096}, few{128, 4096};
  add<float>({"certified", "f32", large, 4}, {"coreml_fast", "faiss", "sklearn", "kmeans1d"});
  add<float>({"certified", "f32", large, 8}, {"coreml_fast", "faiss"});
  add<bfloat16>({"certified", "bf16", large, 4}, {"coreml_fast", "kmeans1d"});
  add<half>({"certified", "f16", large, 4}, {"kmeans1d"});
  add<float>({"certified", "f32", square, 4}, {"coreml_fast", "faiss", "sklearn", "flash1dkmeans"});
  add<float>({"certified", "f32", square, 4, 1024}, {"coreml_fast"});
  add<float>({"certified", "f32", square, 8, 1024}, {});
  // Groups of 32 x 4096: four of them, since the peer takes half a second for each, and as many as a weight has.
  add<float>({"certified", "f32", few, 4, 4}, {"kmeans1d"});
  add<float>({"certified", "f32", large, 4, 128}, {"kmeans1d"});
  for (const int bits : {4, 8}) {
    add<float>({"certified", "f32", small, bits, 1, draws::distinct}, {"kmeans1d", "faiss_exact"});
    add<float>({"certified", "f32", square, bits, 1, draws::plain, true}, {});
  }
  add<float>({"exact", "f32", square, 4}, {"kmeans1d"});
  add<float>({"exact", "f32", square, 8}, {});
  if (std::getenv("LUTRA_BENCH_SLOW") != nullptr) {  // seconds, and minutes
    add<float>({"exact", "f32", large, 4}, {});
    add<float>({"exact", "f32", large, 8}, {});
  }
  add<float>({"reference_fast", "f32", square, 4}, {});
  return true;
}();

}  // namespace
