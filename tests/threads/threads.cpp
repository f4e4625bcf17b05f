// What the headers say of threads, run with real ones. Meant for ThreadSanitizer (LUTRA_SANITIZE=thread),
// which sees a race even when the results come out right; as an ordinary test it compares results.
#include <lutra/affine/sharded.hpp>
#include <lutra/core/random.hpp>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/sharded.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/float_matrix.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "ir/finalized.hpp"
#include "thread_executor.hpp"

namespace {

using namespace lutra;
using test::in_threads;
using test::thread_executor;

tensor<float> normal(const shape& s, std::uint64_t seed) {
  random_stream r(seed);
  tensor<float> t(s);
  for (float& x : t.elements()) x = static_cast<float>(r.normal());
  return t;
}

std::vector<std::uint8_t> state_of(const any_observer& o) {
  state_writer w;
  o.save(w);
  return w.bytes();
}

TEST_CASE("threads: one observer per thread, then merged; and one tensor observed by an executor") {
  const quantization_spec spec{};
  std::vector<tensor<float>> batches;
  for (std::uint64_t i = 0; i < 16; ++i) batches.push_back(normal(shape{4, 700}, i));
  const tensor<float> large = normal(shape{512, 1024}, 99);
  for (const char* key : {"static", "global_minmax", "histogram_mse"}) {
    CAPTURE(key);
    any_observer whole = make_observer(key, spec);
    for (const auto& b : batches) whole.observe(view(b));
    std::vector<any_observer> parts(4, make_observer(key, spec));
    in_threads([&](int t) {
      for (std::size_t i = static_cast<std::size_t>(t); i < batches.size(); i += 4) {
        parts[static_cast<std::size_t>(t)].observe(view(batches[i]));
      }
    });
    for (std::size_t i = 1; i < 4; ++i) parts[0].merge(parts[i]);
    if (std::string_view(key) != "static") {  // which keeps the last batch alone
      CHECK(state_of(parts[0]) == state_of(whole));
    } else {
      CHECK(parts[0].samples() == whole.samples());
    }

    any_observer serial = make_observer(key, spec);
    any_observer parallel = make_observer(key, spec);
    serial.observe(view(large));
    observe(thread_executor{}, parallel, view(large), granularity::per_tensor());
    float lo[2], hi[2];
    serial.range({lo, 1}, {hi, 1});
    parallel.range({lo + 1, 1}, {hi + 1, 1});
    CHECK(lo[0] == lo[1]);
    CHECK(hi[0] == hi[1]);
  }
}

TEST_CASE("threads: observers are registered and made from several threads") {
  in_threads([](int t) {
    register_observer("mine" + std::to_string(t % 2),
                      [](const quantization_spec& s) { return make_observer("global_minmax", s); });
    CHECK(make_observer("histogram_percentile", {}).units() == 0);
  });
  CHECK(make_observer("mine1", {}).samples() == 0);
}

TEST_CASE("threads: several quantize with the same parameters, and one tensor by an executor") {
  const tensor<float> x = normal(shape{300, 1000}, 3);
  fake_quantizer f({}, target::activation);
  f.observe(view(x));
  const qparams p = f.params();
  tensor<float> expected(x.extents());
  fake_quantize(view(x), p, view(expected));
  std::vector<tensor<float>> out(4, tensor<float>(x.extents()));
  const fake_quantizer& shared = f;
  in_threads([&](int t) {
    fake_quantize(view(x), shared.params(), view(out[static_cast<std::size_t>(t)]));
  });
  for (const auto& y : out) CHECK(y == expected);
  fake_quantize(thread_executor{}, view(x), p, view(out[0]));
  CHECK(out[0] == expected);
}

TEST_CASE("threads: palettize by an executor, and several palettize the same weight") {
  const tensor<float> w = normal(shape{16, 2048}, 4);
  const tensor<float> large = normal(shape{384, 512}, 5);
  const palettization_spec rows{.n_bits = 4, .granularity = granularity::per_grouped_channel(1, 0)};
  const palettization_spec whole{.n_bits = 4};
  const palette<float> by_row = palettize(w, rows);
  const palette<float> by_tensor = palettize(large, whole);
  const auto same = [](const palette<float>& a, const palette<float>& b) {
    return a.lut == b.lut && a.codes == b.codes && a.inertia == b.inertia;
  };
  CHECK(same(palettize(w, rows, {}, thread_executor{}), by_row));
  CHECK(same(palettize(large, whole, {}, thread_executor{}), by_tensor));
  std::array<bool, 4> equal{};
  in_threads([&](int t) { equal[static_cast<std::size_t>(t)] = same(palettize(w, rows), by_row); });
  for (const bool e : equal) CHECK(e);
}

TEST_CASE("threads: one packed palette is restored and multiplied by several, and by an executor") {
  const tensor<float> w = normal(shape{130, 300}, 6);
  const packed_palette packed =
      pack(palettize(w, {.n_bits = 4, .lut_qspec = int8_symmetric_with_clipping}));
  const lut_matrix matrix = make_lut_matrix(packed);
  tensor<std::int8_t> x(shape{5, 300});
  random_stream r(7);
  for (std::int8_t& v : x.elements()) v = static_cast<std::int8_t>(r.below(256));
  const tensor_view<const std::int8_t> in(x.data(), x.extents());
  tensor<std::int32_t> expected(shape{5, 130});
  gemm(matrix, in, view(expected));
  const tensor<float> dense = restore(packed);
  std::array<bool, 4> equal{};
  in_threads([&](int t) {
    tensor<std::int32_t> out(shape{5, 130});
    gemm(matrix, in, view(out));
    equal[static_cast<std::size_t>(t)] = out == expected && restore(packed) == dense;
  });
  for (const bool e : equal) CHECK(e);
  tensor<std::int32_t> out(shape{5, 130});
  gemm(thread_executor{}, matrix, in, view(out));
  CHECK(out == expected);
}

TEST_CASE("threads: products with scales, convolutions, and an executor of threads for each") {
  const auto palette = palettize(normal({130, 12, 3, 3}, 9),
                                 {.n_bits = 4, .lut_qspec = int8_symmetric_with_clipping});
  const packed_palette packed = pack(palette);
  const lut_matrix w = make_lut_matrix(packed);
  const float_lut_matrix tables = make_float_lut_matrix(packed);
  const tensor<float> x = normal({7, 108}, 10);
  const quantized_output codes{{}, 0.25F};
  // f(executor, out): the same on the calling thread, on threads, and in several threads at once.
  const auto check = [](auto out, auto&& f) {
    auto expected = out;
    f(serial_executor{}, expected);
    f(thread_executor{}, out);
    CHECK(out == expected);
    std::array<bool, 4> equal{};
    in_threads([&](int t) {
      auto mine = expected;
      std::ranges::fill(mine.elements(), typename decltype(mine)::value_type{});
      f(serial_executor{}, mine);
      equal[static_cast<std::size_t>(t)] = mine == expected;
    });
    for (const bool e : equal) CHECK(e);
  };
  const tensor<float> floats(shape{7, 130});
  check(floats, [&](const auto& ex, auto& out) { gemm_float(ex, w, x, {}, out); });
  check(floats, [&](const auto& ex, auto& out) { gemm_dynamic(ex, w, x, {}, out); });
  check(floats, [&](const auto& ex, auto& out) { gemm_float(ex, tables, x, {}, out); });
  check(tensor<std::int8_t>(shape{7, 130}),
        [&](const auto& ex, auto& out) { gemm_dynamic(ex, w, x, codes, out); });
  random_stream r(11);
  tensor<std::uint8_t> image(shape{5, 12, 9, 9});
  for (std::uint8_t& v : image.elements()) v = static_cast<std::uint8_t>(r.below(256));
  check(tensor<std::int32_t>(shape{5, 130, 7, 7}),
        [&](const auto& ex, auto& out) { conv2d(ex, w, image, {}, out); });
  check(tensor<std::int8_t>(shape{5, 130, 7, 7}), [&](const auto& ex, auto& out) {
    conv2d_scaled(ex, w, image, {}, {0.1F, 128}, codes, out);
  });
}

TEST_CASE("threads: an integer program by several, and by executors of two, three and five") {
  ir::builder b;
  const auto state = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, normal(s, seed));
  };
  const auto c = b.relu(b.conv2d(b.input("x"), state("c.weight", {12, 3, 3, 3}, 1),
                                 state("c.bias", {12}, 2), {.padding = {1, 1}}));
  const auto t =
      b.conv_transpose2d(b.max_pool2d(c), state("t.weight", {12, 2, 2, 2}, 3), {}, {.groups = 4});
  b.output(b.linear(b.flatten(t), state("fc.weight", {300, 8 * 13 * 8}, 4)));
  const ir::graph net = std::move(b).build();
  const tensor<float> x = normal({9, 3, 25, 14}, 5);
  for (const auto axis : {std::optional<int>{}, std::optional<int>{1}}) {
    const ir::graph g = test::finalized(net, x, {}, 3, axis);
    const ir::integer_program program = ir::lower(g);
    const tensor<float> expected = program.run(x);
    for (const int threads : {2, 3, 5}) CHECK(program.run(x, thread_executor{threads}) == expected);
    std::array<bool, 4> equal{};
    in_threads([&](int i) {
      equal[static_cast<std::size_t>(i)] = program.run(x, thread_executor{2}) == expected;
    });
    for (const bool e : equal) CHECK(e);
  }
}

TEST_CASE("threads: the streaming threshold is read while it is set") {
  const index_t before = simd::stream_threshold();
  const tensor<float> x = normal(shape{64, 64}, 8);
  const float lo = -3, hi = 3;
  const qparams p = qparams_from_range({}, {&lo, 1}, {&hi, 1});
  in_threads([&](int t) {
    tensor<float> y(x.extents());
    if (t == 0) simd::set_stream_threshold(1 << 10);
    fake_quantize(view(x), p, view(y));
    CHECK(y[0] <= 3.0F);
  });
  simd::set_stream_threshold(before);
}

}  // namespace
