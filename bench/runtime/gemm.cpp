// Palette GEMV, GEMM and convolution on int8 activations, one thread, against float GEMM and the roofs of the
// same run: the int8 multiply-add peak of the register file and the read bandwidth. Tables come from
// palettize on N(0, 0.02). items_per_second are multiply-adds, bytes_per_second the weights in memory.
// Answers are compared with the reference before anything is timed.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <cmath>
#include <lutra/core/random.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/float_matrix.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>
#include <map>

namespace {

using namespace lutra;

// One of each, made once: 2^28 weights take seconds.
const packed_palette& normal_palette(const shape& s, int bits) {
  static std::map<std::pair<std::vector<index_t>, int>, packed_palette> made;
  auto& p = made[{{s.begin(), s.end()}, bits}];
  if (!p.codes.empty()) return p;
  random_stream random(1);
  std::vector<float> sample(1 << 16);
  for (float& x : sample) x = static_cast<float>(random.normal() * 0.02);
  tensor<float> w(s);
  for (index_t i = 0; i < w.size(); ++i) w[i] = sample[random.next() >> 48];
  p = pack(palettize(w, {.n_bits = bits, .lut_qspec = int8_symmetric_with_clipping}));
  return p;
}
tensor<std::int8_t> activations(const shape& s) {
  random_stream random(2);
  tensor<std::int8_t> x(s);
  for (auto& v : x.elements()) v = static_cast<std::int8_t>(random.next() >> 56);
  return x;
}

// Every output of up to 64 rows spread over the matrix.
bool right(const packed_palette& p, const tensor<std::int8_t>& x, const tensor<std::int32_t>& got) {
  const index_t rows = p.weight_shape[0], depth = p.weight_shape[1];
  for (index_t sample = 0; sample < std::min<index_t>(rows, 64); ++sample) {
    const index_t row = rows <= 64 ? sample : sample * (rows - 1) / 63;
    for (index_t m = 0; m < x.extent(0); ++m) {
      std::int64_t sum = 0;
      for (index_t k = 0; k < depth; ++k) {
        const int code = reference::code_at(p.codes, p.n_bits, row * depth + k);
        sum += static_cast<std::int8_t>(p.lut_codes[static_cast<std::size_t>(code)]) *
               x[m * depth + k];
      }
      if (got[m * rows + row] != sum) return false;
    }
  }
  return true;
}

void palette_gemm(benchmark::State& state, const shape& s, int bits, index_t m, int lowest) {
  packed_palette p = normal_palette(s, bits);
  if (lowest < -127) p.lut_codes[0] = 0x80;
  const lut_matrix w = make_lut_matrix(p);
  const auto x = activations({m, s[1]});
  tensor<std::int32_t> out(shape{m, s[0]});
  gemm(w, x, out);
  if (!right(p, x, out)) state.SkipWithError("wrong answer");
  for (auto _ : state) {
    gemm(w, x, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
  state.SetBytesProcessed(state.iterations() * w.bytes());
}

// Float in, float out; `multiply(w, x, out)` is the product, whose answers may be `tolerance` times
// |w| times |x| off. groups: columns per table, 0 for one table. make(palette) is the matrix.
template <class Make, class F>
void palette_floats(benchmark::State& state, const shape& s, index_t m, index_t groups,
                    double tolerance, const Make& make, const F& multiply) {
  packed_palette p = normal_palette(s, 4);
  if (groups > 0) {
    p.block = p.block.with(1, groups);
    const std::vector<std::uint8_t> table = p.lut_codes;
    for (index_t g = 1; g < p.groups().count(); ++g) {
      p.lut_codes.insert(p.lut_codes.end(), table.begin(), table.end());
      p.scale.push_back(p.scale[0]);
      p.zero_point.push_back(0);
    }
  }
  const auto w = make(p);
  random_stream random(3);
  tensor<float> x(shape{m, s[1]}), out(shape{m, s[0]});
  for (float& v : x.elements()) v = static_cast<float>(random.normal());
  multiply(w, x, out);
  for (index_t row = 0; row < s[0]; row += s[0] / 64) {
    double y = 0, norm = 0;
    for (index_t k = 0; k < s[1]; ++k) {
      const int code = reference::code_at(p.codes, p.n_bits, row * s[1] + k);
      const double v = static_cast<std::int8_t>(p.lut_codes[static_cast<std::size_t>(code)]) *
                       static_cast<double>(p.scale[0]) * static_cast<double>(x[k]);
      y += v;
      norm += std::fabs(v);
    }
    if (!(std::fabs(y - static_cast<double>(out[row])) <= tolerance * norm))
      state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    multiply(w, x, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
  state.SetBytesProcessed(state.iterations() * w.bytes());
}

void palette_conv(benchmark::State& state, const shape& image, const shape& weight, index_t pad) {
  const packed_palette& p = normal_palette(weight, 4);
  const lut_matrix w = make_lut_matrix(p);
  const auto x = activations(image);
  const conv2d_options o{.window = window2d::symmetric({1, 1}, {pad, pad})};
  tensor<std::int32_t> sums(image.with(1, weight[0])), expected(sums.extents());
  conv2d(w, x, o, sums);
  const auto integers = reference::integer_weights(p);
  reference::conv2d<std::int8_t>(view(integers), view(x), o.window, 1, 0, view(expected));
  if (!(sums == expected)) state.SkipWithError("wrong answer");
  const auto rows = static_cast<std::size_t>(weight[0]);
  const requantize e{std::vector<float>(rows, 1e-4F), std::vector<std::int32_t>(rows, 100), 0, 0};
  tensor<std::int8_t> out(sums.extents());
  for (auto _ : state) {
    conv2d(w, x, o, e, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * out.size() * w.depth());
}

// The same product in float with Eigen.
void eigen_gemm(benchmark::State& state, const shape& s, index_t m) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const matrix w = matrix::Random(s[0], s[1]);
  const matrix x = matrix::Random(m, s[1]);
  matrix out(m, s[0]);
  const Eigen::VectorXf vector = x.row(0);
  Eigen::VectorXf result(s[0]);
  for (auto _ : state) {
    if (m == 1) {
      result.noalias() = w * vector;
    } else {
      out.noalias() = x * w.transpose();
    }
    benchmark::DoNotOptimize(result.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
}

// The multiply-add of this level on registers alone, with as many independent sums as the GEMM has: weights of four
// strips times activations of the columns, every product another one, so that none is computed once for all.
// A function of its own: in the timing loop the compiler keeps the sums on the stack.
constexpr int dot_columns = vector_registers(simd::native{}) / 8;
constexpr int dot_sums = 4 * dot_columns;
[[gnu::noinline]] std::int32_t many_dots(int repeats, const std::int8_t* data) {
  using A = simd::native;
  using promise =
      std::conditional_t<has_small_weight_dot(A{}), simd::small_weight, simd::any_weight>;
  decltype(as_sum(splat_ints(0, A{}), A{})) sum[static_cast<std::size_t>(dot_sums)];
  simd::unroll<dot_sums>([&](auto i) __attribute__((always_inline)) {
    sum[i] = as_sum(splat_ints(i, A{}), A{});
  });
  for (int repeat = 0; repeat < repeats; ++repeat) {
    decltype(simd::weights(load_bytes(data, A{}), promise{}, A{})) rows[4];
    simd::unroll<4>([&](auto s) __attribute__((always_inline)) {
      rows[s] = simd::weights(load_bytes(data + 64 * s, A{}), promise{}, A{});
    });
    simd::unroll<dot_columns>([&](auto c) __attribute__((always_inline)) {
      const auto four = simd::activations(data + 4 * c, promise{}, A{});
      simd::unroll<4>([&](auto s) __attribute__((always_inline)) {
        auto& total = sum[4 * c + s];
        total = as_sum(dot(as_ints(total, A{}), rows[s], four, promise{}, A{}), A{});
      });
    });
    __asm__ volatile("" ::: "memory");  // the data may be others now
  }
  auto all = splat_ints(0, A{});
  simd::unroll<dot_sums>([&](auto i) __attribute__((always_inline)) {
    all = add(all, as_ints(sum[i], A{}), A{});
  });
  std::int32_t out[static_cast<std::size_t>(simd::int_lanes<A>)];
  store_ints(out, all, A{});
  return out[0];
}
void dot_peak(benchmark::State& state) {
  constexpr int repeats = 1000;
  const std::vector<std::int8_t> data(256, 3);
  for (auto _ : state) benchmark::DoNotOptimize(many_dots(repeats, data.data()));
  state.SetItemsProcessed(state.iterations() * repeats * dot_sums *
                          simd::vector_size<simd::native>);
}

// Reading as fast as this machine was seen to: four places at a time, in large pages, as weights lie.
void read_peak(benchmark::State& state, index_t bytes) {
  using A = simd::native;
  constexpr index_t size = simd::vector_size<A>;
  const std::vector<std::int32_t, simd::large_page_allocator<std::int32_t>> data(
      static_cast<std::size_t>(bytes / 4), 1);
  const auto* from = reinterpret_cast<const std::uint8_t*>(data.data());
  for (auto _ : state) {
    simd::ints_of<A> sum[4] = {splat_ints(0, A{}), splat_ints(0, A{}), splat_ints(0, A{}),
                               splat_ints(0, A{})};
    for (index_t i = 0; i < bytes / 4; i += 4 * size) {
      simd::unroll<4>([&](auto place) __attribute__((always_inline)) {
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[v] = add(sum[v], load_ints(from + place * (bytes / 4) + i + v * size, A{}), A{});
        });
      });
    }
    std::int32_t sink[static_cast<std::size_t>(simd::int_lanes<A>)];
    store_ints(sink, add(add(sum[0], sum[1], A{}), add(sum[2], sum[3], A{}), A{}), A{});
    benchmark::DoNotOptimize(sink);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
}

std::string size_of(const shape& s) { return std::to_string(s[0]) + 'x' + std::to_string(s[1]); }

// Who computes the same: Eigen here, the others in peers.cpp.
std::string peers(const std::string& what) {
  return " peer/eigen/f32/" + what + " peer/openblas/f32/" + what + " peer/onednn/s8/" + what;
}

template <class F> auto* add(const std::string& name, F&& f) {
  return benchmark::RegisterBenchmark(name.c_str(), std::forward<F>(f));
}

[[maybe_unused]] const bool registered = [] {
  add("roof/dpbusd", dot_peak);
  add("roof/read/1MiB", [](benchmark::State& s) { read_peak(s, index_t{1} << 20); });
  add("roof/read/128MiB", [](benchmark::State& s) { read_peak(s, index_t{1} << 27); });
  const auto gemv = [](const shape& s, int bits, const std::string& roof, int lowest = -127) {
    const std::string name =
        "gemv/p" + std::to_string(bits) + "a8/" + size_of(s) + (lowest < -127 ? "/table:-128" : "");
    add(name, [=](benchmark::State& state) {
      palette_gemm(state, s, bits, 1, lowest);
      state.SetLabel("vs " + roof + peers("gemv/" + size_of(s)));
    });
  };
  const auto eigen = [](const shape& s, index_t m) {
    const std::string name = "peer/eigen/f32/" + std::string(m == 1 ? "gemv/" : "gemm/") +
                             size_of(s) + (m == 1 ? "" : "/m:" + std::to_string(m));
    add(name, [=](benchmark::State& state) { eigen_gemm(state, s, m); });
  };
  const shape small{1024, 1024}, medium{4096, 4096}, big{16384, 16384};
  gemv(small, 4, "roof/dpbusd");
  gemv(small, 4, "roof/dpbusd", -128);
  eigen(small, 1);
  gemv(medium, 4, "roof/dpbusd");
  for (const int bits : {2, 3, 6, 8}) gemv(medium, bits, "roof/dpbusd");
  eigen(medium, 1);
  gemv(big, 4, "roof/read/128MiB");
  eigen(big, 1);
  for (const shape& s : {small, medium}) {
    for (const index_t m : {2, 3, 4, 8, 64, 256}) {
      const std::string name = size_of(s) + "/m:" + std::to_string(m);
      add("gemm/p4a8/" + name, [=](benchmark::State& state) {
        palette_gemm(state, s, 4, m, -127);
        state.SetLabel("vs roof/dpbusd" + peers("gemm/" + name));
      });
      eigen(s, m);
    }
  }
  const auto floats = [&](const std::string& name, index_t m, index_t groups, double tolerance,
                          auto make, auto multiply) {
    const std::string size = size_of(medium) + (m == 1 ? "" : "/m:" + std::to_string(m));
    const bool one = m == 1 && name.starts_with("gemm");
    add(name + size + (one ? "/m:1" : "") + (groups > 0 ? "/groups:" + std::to_string(groups) : ""),
        [=](benchmark::State& state) {
          palette_floats(state, medium, m, groups, tolerance, make, multiply);
          state.SetLabel("vs roof/dpbusd peer/eigen/f32/" +
                         std::string(m == 1 ? "gemv/" : "gemm/") + size);
        });
  };
  const auto weight_only = [](const auto& w, const auto& x, auto& out) {
    gemm_float(w, x, {}, out);
  };
  const auto dynamic = [](const auto& w, const auto& x, auto& out) { gemm_dynamic(w, x, {}, out); };
  const auto int8_tables = [](const packed_palette& p) { return make_grouped_lut_matrix(p); };
  const auto float_tables = [](const packed_palette& p) { return make_float_lut_matrix(p); };
  floats("gemv/p4f32/", 1, 0, 1e-6, int8_tables, weight_only);
  floats("gemv/p4f32/", 1, 128, 1e-6, int8_tables, weight_only);
  floats("gemm/p4f32/", 8, 0, 1e-6, int8_tables, weight_only);
  floats("gemv/p4f32_float_tables/", 1, 0, 1e-6, float_tables, weight_only);
  floats("gemm/p4f32_float_tables/", 8, 0, 1e-6, float_tables, weight_only);
  for (const index_t m : {1, 8}) {
    floats("gemm/p4a8_dynamic/", m, 0, 1e-2, int8_tables, dynamic);
    floats("gemm/p4a8_dynamic/", m, 128, 1e-2, int8_tables, dynamic);
  }
  floats("gemm/p4a8_dynamic/", 1, 32, 1e-2, int8_tables, dynamic);
  add("conv2d/p4a8/56x56x64x64/3x3", [](benchmark::State& state) {
    palette_conv(state, {1, 64, 56, 56}, {64, 64, 3, 3}, 1);
    state.SetLabel("vs roof/dpbusd");
  });
  add("conv2d/p4a8/28x28x1x32/3x3", [](benchmark::State& state) {
    palette_conv(state, {16, 1, 28, 28}, {32, 1, 3, 3}, 1);
    state.SetLabel("vs roof/dpbusd");
  });
  return true;
}();

}  // namespace
