#include <lutra/flow/palettizer_state.hpp>

#include <lutra/flow/palettizer.hpp>
#include <lutra/runtime/conv_transpose.hpp>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {

palettizer_config palettes_of(const palettization_spec& spec) {
  return {.global_config = {.op_state_spec = {{"weight", spec}}}};
}
palettizer_config palettes_of(int n_bits, granularity g = {},
                              quantization_spec table = int8_symmetric) {
  return palettes_of({.n_bits = n_bits, .lut_qspec = table, .granularity = g});
}
std::vector<std::uint8_t> saved_by(const palettizer_config& config, toy::graph g = small_net()) {
  kmeans_palettizer p(g, config);
  p.prepare();
  return p.save();
}
errc code_of(std::span<const std::uint8_t> bytes, const palettizer_config& config) {
  toy::graph g = small_net();
  const toy::graph before = g;
  kmeans_palettizer p(g, config);
  const error e = error_of([&] { p.load(bytes); });
  CHECK(g.same_as(before));
  CHECK(error_of([&] { p.finalize(); }).problem() == "prepare() was not called");
  return e.code();
}

}  // namespace

TEST_CASE("palettizer_state: loading gives what preparing gave, report and all") {
  const palettizer_config scaled = palettes_of({.n_bits = 3,
                                                .lut_qspec = int8_symmetric,
                                                .granularity = granularity::per_grouped_channel(2),
                                                .enable_per_channel_scale = true});
  const palettizer_config outliers = palettes_of({.n_bits = 2, .outliers = {.fraction = 0.1}});
  for (const palettizer_config& config : {palettes_of(2), scaled, outliers}) {
    toy::graph g = small_net();
    kmeans_palettizer first(g, config);
    first.prepare();
    const auto bytes = first.save();
    toy::graph h = small_net();
    kmeans_palettizer second(h, config);
    second.load(bytes);
    CHECK(g.same_as(h));
    CHECK(second.save() == bytes);
    const compression_report a = first.finalize();
    const compression_report b = second.finalize();
    CHECK(g.same_as(h));
    REQUIRE(a.weights.size() == b.weights.size());
    for (std::size_t i = 0; i < a.weights.size(); ++i) {
      CHECK(a.weights[i].name == b.weights[i].name);
      CHECK(a.weights[i].status == b.weights[i].status);
      CHECK(a.weights[i].error == b.weights[i].error);
      CHECK(a.weights[i].inertia == b.weights[i].inertia);
      CHECK(a.weights[i].bytes_after == b.weights[i].bytes_after);
    }
  }
}

TEST_CASE(
    "palettizer_state: a prepared palettizer takes another state, its float weights are not lost") {
  toy::graph other = small_net();
  const small_net net;
  for (float& w : other.values.at(net.w1).data.elements()) w = -3 * w * w;
  const auto bytes = saved_by(palettes_of(2), other);
  toy::graph g = small_net();
  kmeans_palettizer p(g, palettes_of(2));
  p.prepare();
  const double own = p.report().weights[0].error;
  p.load(bytes);
  CHECK(p.report().weights[0].error > own);  // measured against the float weight
  CHECK(p.report().weights[0].signal > 0);
  p.load(saved_by(palettes_of(2)));
  CHECK(p.report().weights[0].error == own);
}

TEST_CASE("palettizer_state: every prefix is refused, and so is what follows the end") {
  const palettizer_config config = palettes_of(2);
  const auto bytes = saved_by(config);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const errc code = code_of(std::span(bytes).first(n), config);
    CHECK(code == errc::corrupt_data);
  }
  auto longer = bytes;
  longer.push_back(0);
  CHECK(code_of(longer, config) == errc::corrupt_data);
}

TEST_CASE("palettizer_state: a changed byte is refused") {
  const palettizer_config config = palettes_of(2);
  const auto bytes = saved_by(config);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const std::uint8_t flip : {std::uint8_t{1}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
      auto broken = bytes;
      broken[i] = static_cast<std::uint8_t>(broken[i] ^ flip);
      const errc code = code_of(broken, config);
      CHECK((code == errc::corrupt_data || code == errc::unsupported));
    }
  }
}

TEST_CASE("palettizer_state: states of other weights, specs and versions") {
  const auto bytes = saved_by(palettes_of(2));
  CHECK(code_of(bytes, palettes_of(3)) == errc::incompatible);
  CHECK(code_of(bytes, palettes_of(2, {}, off)) == errc::incompatible);
  CHECK(code_of(bytes, palettes_of(2, granularity::per_grouped_channel(2))) == errc::incompatible);
  palettizer_config fewer = palettes_of(2);
  fewer.set_module_name("fc2", off);
  CHECK(code_of(bytes, fewer) == errc::incompatible);
  CHECK(code_of(saved_by(fewer), palettes_of(2)) == errc::incompatible);
  CHECK(code_of(bytes, palettes_of({.n_bits = 2,
                                    .lut_qspec = int8_symmetric,
                                    .enable_per_channel_scale = true})) == errc::incompatible);
  const auto with_outliers = saved_by(
      palettes_of({.n_bits = 2, .lut_qspec = int8_symmetric, .outliers = {.fraction = 0.1}}));
  CHECK(code_of(with_outliers, palettes_of(2)) == errc::incompatible);
  quantization_spec asymmetric = int8_symmetric;
  asymmetric.qscheme = qscheme::asymmetric;
  CHECK(code_of(saved_by(palettes_of(2, {}, asymmetric)), palettes_of(2)) == errc::incompatible);
  auto later = bytes;
  later[4] = 2;
  CHECK(code_of(later, palettes_of(2)) == errc::unsupported);
  toy::graph renamed = small_net();
  renamed.values.at(small_net().w2).names = {"other.weight"};
  kmeans_palettizer p(renamed, palettes_of(2));
  CHECK_ERROR(p.load(bytes), incompatible, "another weight", "'fc2.weight'", "'other.weight'");
  toy::graph g = small_net();
  kmeans_palettizer q(g, palettes_of(2));
  CHECK_ERROR(q.save(), invalid_state, "prepare() was not called", "kmeans_palettizer::save");
}

TEST_CASE("palettizer_state: an adapter that throws while loading leaves the graph as it was") {
  const auto bytes = saved_by(palettes_of(2));
  for (int k = 0; k < 2; ++k) {
    toy::graph g = small_net();
    const toy::graph before = g;
    g.fail_in = k;
    kmeans_palettizer p(g, palettes_of(2));
    CHECK_THROWS_AS(p.load(bytes), toy::failure);
    CHECK(g.same_as(before));
    p.load(bytes);
    CHECK(p.save() == bytes);
  }
}

TEST_CASE("palettizer_state: a transposed palette is not saved, what it was made of is") {
  random_stream random(7);
  tensor<float> weight(shape{4, 3, 2, 2});
  for (float& w : weight.elements()) w = static_cast<float>(random.normal());
  const packed_palette made_of =
      pack(palettize(weight, {.n_bits = 2, .lut_qspec = int8_symmetric}));
  const packed_palette transposed = transposed_palette(made_of, 1);
  state_writer out;
  CHECK_ERROR(save_palette(out, transposed), unsupported, "transposed palette is not saved",
              "[3, 4, 2, 2]", "palette that it was made of");
  CHECK(out.bytes().empty());
  const saved_palette one{.weight = "up.weight", .palette = transposed};
  CHECK_ERROR(save_palettes({&one, 1}), unsupported,
              "transposed palette is not saved (weight 'up.weight', save_palette)");
  save_palette(out, made_of);
  state_reader in(out.bytes(), "test");
  CHECK(transposed_palette(load_palette(in, "test"), 1) == transposed);
}
