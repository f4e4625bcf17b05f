// What palettes lose, in two tables (no benchmark: it prints and ends).
// 1. Twenty distributions and real weights: inertia / optimum - 1 (0 when both are 0; the optimum is that of mode
//    `exact`), the proven gap, passes over the values, and CPU time, for every mode. One common sum in double.
// 2. The headroom probes of the reference's specification: its published errors beside ours.
// Usage: distributions [elements, default 1048576]
#include <cluster/samples.hpp>
#include <common/safetensors.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <random>

namespace {

using namespace lutra;

double milliseconds() { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double squared_error(std::span<const float> x, const std::vector<float>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += d * d;
  }
  return sum;
}
double ratio(double a, double b) { return a <= b ? 0.0 : a / b - 1; }

// Passes of the clustering over the values; a sort counts as one.
int passes(std::span<const float> x, int entries, palettize_mode mode) {
  if (mode == palettize_mode::reference_fast || x.size() < large_group) return 1;
  const bool exact = mode == palettize_mode::exact;
  const fit_options how{.max_gap = exact ? 1e-9 : palettize_options{}.gap_for(entries),
                        .exact = exact};
  return fit_1d<simd::native>(x, std::span<const float>(), entries, how, serial_executor{}).passes;
}

void print_modes(const std::string& name, std::span<const float> x) {
  const tensor_view<const float> w(x.data(), {static_cast<index_t>(x.size())});
  for (const int bits : {4, 8}) {
    double optimum = 0;
    for (const auto mode :
         {palettize_mode::exact, palettize_mode::certified, palettize_mode::reference_fast}) {
      palettize_options options;
      options.mode = mode;
      const double start = milliseconds();
      const palette<float> p = palettize(w, {.n_bits = bits}, options);
      const double ms = milliseconds() - start;
      const double inertia = squared_error(x, dense_values(p));
      if (mode == palettize_mode::exact) optimum = inertia;
      const char* names[] = {"certified", "exact", "reference_fast"};
      std::printf("%-18s %d  %-14s %9.1e ", name.c_str(), bits,
                  names[static_cast<std::size_t>(mode)], ratio(inertia, optimum));
      if (mode == palettize_mode::reference_fast) {
        std::printf("%9s %9s", "-", "-");
      } else {
        std::printf("%9.1e %9.1e", ratio(p.inertia[0] - p.rounding[0], p.lower_bound[0]),
                    ratio(p.inertia[0], p.inertia[0] - p.rounding[0]));
      }
      std::printf(" %6d %9.2f\n", passes(x, 1 << bits, mode), ms);
    }
  }
}

std::vector<float> normal(double sd, bool outliers) {
  std::mt19937_64 bits(0);
  std::normal_distribution<double> draw(0.0, sd);
  std::vector<float> x(65536);
  for (float& v : x) v = static_cast<float>(draw(bits));
  for (std::size_t i = 0; outliers && i < 8; ++i) x[i * 8000 + 17] = 3.0F;
  return x;
}

struct probe {
  const char* text;
  double sd;
  bool outliers;
  int bits;
  quantization_spec lut;
  const char* reference;   // mse, as published
  const char* reassigned;  // after one re-assignment of the reference's codes
};

void print_probe(const probe& p) {
  const std::vector<float> x = normal(p.sd, p.outliers);
  const tensor_view<const float> w(x.data(), {256, 256});
  const auto mse = [&](const palettization_spec& spec, const palettize_options& options = {}) {
    return squared_error(x, restore(pack(palettize(w, spec, options))).elements()) / 65536;
  };
  palettization_spec spec{.n_bits = p.bits, .lut_qspec = p.lut};
  palettize_options fast;
  fast.mode = palettize_mode::reference_fast;
  std::printf("%-34s %10s %10s %10.3e %10.3e", p.text, p.reference, p.reassigned, mse(spec, fast),
              mse(spec));
  spec.refine_lut = p.lut.enabled;
  std::printf(" %10.3e", mse(spec));
  spec.outliers = {.count = 64, .by_gain = true};
  const palette<float> found = palettize(w, spec);
  std::printf(" %10.3e %7.4f\n", squared_error(x, dense_values(found)) / 65536,
              8.0 * static_cast<double>(found.outliers.bytes(65536)) / 65536);
}

}  // namespace

int main(int argc, char** argv) {
  const auto elements = static_cast<std::size_t>(argc > 1 ? std::atol(argv[1]) : 1 << 20);
  std::printf("%-18s %s  %-14s %9s %9s %9s %6s %9s\n", "weights", "n", "mode", "excess", "gap",
              "rounding", "passes", "ms");
  for (const std::string& name : samples::names()) print_modes(name, samples::draw(name, elements));
  for (const std::string model : {"cnn", "bn"}) {
    lutra_examples::safetensors_reader file(std::string(LUTRA_SOURCE_DIR) +
                                            "/examples/data/mnist_" + model + ".safetensors");
    for (const lutra_examples::tensor_entry& t : file.tensors()) {
      const std::size_t end = t.name.rfind(".weight");
      if (end == std::string::npos || t.extents.rank() < 2) continue;
      print_modes(model + ' ' + t.name.substr(0, end), file.read<float>(t.name).elements());
    }
  }
  const quantization_spec asymmetric{.qscheme = qscheme::asymmetric};
  const quantization_spec e4m3{.dtype = dtype::float8_e4m3fn};
  std::printf(
      "\nmean squared errors, 256x256   spec: reference reassigned  | here: reference_fast, table "
      "rounded, refined, with outliers kept by gain (bits per weight)\n");
  for (const probe& p :
       {probe{"N(0,.02) 4 bit", .02, false, 4, off, "3.842e-6", "3.842e-6"},
        probe{"N(0,.02) 4 bit int8", .02, false, 4, {}, "3.860e-6", "3.851e-6"},
        probe{"N(0,.02) 4 bit e4m3", .02, false, 4, e4m3, "4.164e-6", "4.039e-6"},
        probe{"N(0,.02) 8 bit int8", .02, false, 8, {}, "5.76e-8", "4.33e-8"},
        probe{"N(0,.02) 8 bit e4m3", .02, false, 8, e4m3, "2.96e-7", "2.81e-7"},
        probe{"8 values at 3, 4 bit", .02, true, 4, off, "4.36e-6", "4.36e-6"},
        probe{"8 values at 3, 4 bit int8", .02, true, 4, {}, "5.22e-5", "4.74e-5"},
        probe{"8 values at 3, 4 bit int8 asym", .02, true, 4, asymmetric, "-", "-"},
        probe{"N(0,1e-3) 4 bit", 1e-3, false, 4, off, "9.757e-9", "9.720e-9"},
        probe{"N(0,1e-4) 4 bit", 1e-4, false, 4, off, "8.32e-10", "8.32e-10"}}) {
    print_probe(p);
  }
}
