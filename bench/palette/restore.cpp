// Packed palettes back to dense weights, as a user calls it: checks, tables and row scales included; one table, a
// table per row, a table per 64 columns of every row. Against filling the output, in the same run.
// Answers are compared with the unpacked form first.
#include <lutra/core/random.hpp>
#include <lutra/palette/restore.hpp>
#include <roof.hpp>

namespace {

using namespace lutra;

constexpr index_t side = 4096;

packed_palette random_palette(int bits, const shape& block, bool scaled) {
  random_stream random(3);
  packed_palette p;
  p.weight_shape = {side, side};
  p.block = block;
  p.n_bits = bits;
  p.lut_dtype = dtype::int8;
  p.codes.resize(static_cast<std::size_t>(packed_bytes(side * side, bits)));
  for (auto& c : p.codes) c = static_cast<std::uint8_t>(random.next() >> 56);
  const auto groups = static_cast<std::size_t>(p.groups().count());
  p.lut_codes.resize(groups << bits);
  for (auto& c : p.lut_codes) c = static_cast<std::uint8_t>(random.next() >> 56);
  p.scale.assign(groups, 0.01F);
  p.zero_point.assign(groups, 0);
  if (scaled) p.row_scale.assign(static_cast<std::size_t>(side), 1.5F);
  return p;
}

template <class T>
void measure(benchmark::State& state, int bits, const shape& block, bool scaled) {
  const packed_palette p = random_palette(bits, block, scaled);
  bench::aligned<T> out(side * side, T{});
  const tensor_view<T> weight(out.data(), p.weight_shape);
  restore(p, weight);
  const std::vector<float> expected = dense_values(unpack(p));
  for (index_t i = 0; i < side * side; ++i) {
    const T want(expected[static_cast<std::size_t>(i)]);
    if (std::memcmp(&out[i], &want, sizeof(T)) != 0) return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    restore(p, weight);
    benchmark::ClobberMemory();
  }
  const index_t written = side * side * static_cast<index_t>(sizeof(T));
  state.SetItemsProcessed(state.iterations() * side * side);
  state.SetBytesProcessed(state.iterations() * (written + p.bytes()));
  bench::count_written(state, written);
}

[[maybe_unused]] const bool registered = [] {
  benchmark::RegisterBenchmark("roof/memset_nonzero/64MiB", [](benchmark::State& state) {
    bench::fill(state, bench::large.bytes);
  });
  const auto add = [](const std::string& end, auto type, const char* name, int bits,
                      const shape& block, bool scaled) {
    using T = decltype(type);
    const std::string full = std::string("restore/") + name +
                             "/4096x4096/bits:" + std::to_string(bits) + end +
                             (scaled ? "/row_scale" : "");
    benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
      if (sizeof(T) == 4) state.SetLabel("vs roof/memset_nonzero/64MiB");
      measure<T>(state, bits, block, scaled);
    });
  };
  for (const int bits : {4, 8}) {
    add("", float{}, "f32", bits, {side, side}, false);
    add("", float{}, "f32", bits, {side, side}, true);
    add("/groups:4096", float{}, "f32", bits, {1, side}, false);
    if (bits == 4) add("/blocks:1x64", float{}, "f32", bits, {1, 64}, false);
    add("", half{}, "f16", bits, {side, side}, false);
  }
  return true;
}();

}  // namespace
