#include <lutra/ir/saved.hpp>

#include <limits>

#include "ir/finalized.hpp"

using namespace lutra;
using test::random_tensor;
using traits = graph_traits<ir::graph>;

namespace {

ir::graph image_net() {
  ir::builder b;
  b.module("features.0", "nn.Conv2d");
  const auto c =
      b.conv2d(b.input("x"), b.state("features.0.weight", random_tensor({4, 2, 3, 3}, 1)),
               b.state("features.0.bias", random_tensor({4}, 2)), {.padding = {1, 1}});
  b.module("");
  const auto p = b.flatten(b.max_pool2d(b.relu6(c)));
  b.module("head", "nn.Linear");
  b.output(b.linear(p, b.state("head.weight", random_tensor({5, 36}, 3))));
  return std::move(b).build();
}

// Everything a graph may hold, by hand: few bytes, many kinds of them.
ir::graph odd_graph() {
  ir::builder b;
  const auto ids = b.input("ids", false);
  const auto y = b.input("y");
  const auto table = b.state("table", tensor<float>({2, 2}, {1.0F, -0.0F, 0x1p-149F, 3e38F}));
  const auto weight = b.state("w", tensor<float>({1, 2}));
  const auto nothing = b.state("empty", tensor<float>({0, 3}));
  const auto coded = b.state("coded", tensor<float>({2, 3}));
  b.module("m", "nn.M");
  b.module("n.0", "nn.N");
  const auto e = b.embedding(table, ids);
  const auto l = b.linear(e, weight);
  const double inf = std::numeric_limits<double>::infinity();
  b.output(b.apply("custom", {y, nothing, l, coded},
                   {{"numbers", {-0.0, inf, 1e-300}}, {"none", {}}, {"", {1}}}));
  b.output(y);
  b.output(weight);
  ir::graph g = std::move(b).build();
  g.training = true;
  packed_palette p{};
  p.weight_shape = {2, 2};
  p.block = {1, 2};
  p.n_bits = 1;
  p.codes = {0b1001};
  p.lut_codes = {1, 255, 128, 127};
  p.scale = {0.5F, 0.25F};
  p.zero_point = {0, -3};
  p.row_scale = {1.5F, 2.0F};
  p.outliers = {{1, 3}, {100.0F, -7.0F}};
  traits::set_operand(g, g.at(e).producer, 0, traits::emit_palette(g, table, p));
  const qparams q{.dtype = dtype::uint4,
                  .quant_min = 0,
                  .quant_max = 15,
                  .granularity = granularity::per_channel(1),
                  .scale = {0.1F, 0.2F},
                  .zero_point = {3, 4},
                  .minval = {-1, 0}};
  traits::set_operand(g, g.at(l).producer, 1, traits::emit_quantize_dequantize(g, weight, q));
  affine_constant c;
  c.extents = {2, 3};
  c.parameters = {.dtype = dtype::int3,
                  .quant_min = -4,
                  .quant_max = 3,
                  .granularity = granularity::per_channel(0),
                  .scale = {0.1F, 0.2F},
                  .zero_point = {-3, 0},
                  .minval = {}};
  c.codes = {0xa5, 0x3c, 0x02};
  const auto last = g.at(g.outputs[0]).producer;
  traits::set_operand(g, last, 3, traits::emit_affine_constant(g, coded, c));
  return g;
}

bool same_ids(const ir::graph& a, const std::vector<ir::value_id>& as, const ir::graph& b,
              const std::vector<ir::value_id>& bs) {
  const auto same = [&](ir::value_id x, ir::value_id y) {
    const ir::value& v = a.at(x);
    const ir::value& w = b.at(y);
    return v.name == w.name && v.role == w.role && v.is_float == w.is_float &&
           test::same_bits(v.data, w.data) && v.palette == w.palette && v.affine == w.affine;
  };
  return std::ranges::equal(as, bs, same);
}
// Every field, not the numbers of nodes and values.
void check_same(const ir::graph& a, const ir::graph& b) {
  REQUIRE(a.order.size() == b.order.size());
  for (std::size_t i = 0; i < a.order.size(); ++i) {
    const ir::node& n = a.at(a.order[i]);
    const ir::node& m = b.at(b.order[i]);
    CHECK(n.op == m.op);
    CHECK(n.name == m.name);
    CHECK(n.module_path == m.module_path);
    CHECK(same_ids(a, n.operands, b, m.operands));
    CHECK(same_ids(a, n.results, b, m.results));
    for (const ir::value_id v : m.results) CHECK(b.at(v).producer == b.order[i]);
    CHECK(n.literals == m.literals);
    for (const auto& [key, numbers] : n.literals) {
      for (std::size_t k = 0; k < numbers.size(); ++k) {
        CHECK(std::signbit(numbers[k]) == std::signbit(m.literals.at(key)[k]));
      }
    }
    CHECK(n.quantization == m.quantization);
  }
  CHECK(same_ids(a, a.inputs, b, b.inputs));
  CHECK(same_ids(a, a.outputs, b, b.outputs));
  CHECK(a.module_types == b.module_types);
  CHECK(a.training == b.training);
}

std::vector<std::uint8_t> resealed(std::vector<std::uint8_t> bytes) {
  bytes.resize(bytes.size() - 8);
  state_writer w;
  for (const std::uint8_t x : bytes) w.u8(x);
  return sealed(std::move(w));
}

}  // namespace

TEST_CASE("saved: a finalized network comes back and computes the same bits") {
  const auto x = random_tensor({6, 2, 6, 6}, 7);
  for (const test::activation_choice a :
       {test::activation_choice{}, {dtype::uint8, qscheme::asymmetric}}) {
    const ir::graph g = test::finalized(image_net(), x, a, 2);
    const auto bytes = ir::save(g);
    const ir::graph loaded = ir::load(bytes);
    check_same(g, loaded);
    CHECK(ir::save(loaded) == bytes);
    CHECK(test::same_bits(ir::interpreter(g).run(x), ir::interpreter(loaded).run(x)));
    CHECK(ir::lower(g).run_codes(lutra::view(x)) == ir::lower(loaded).run_codes(lutra::view(x)));
    // The float weights, of 1,008 bytes, are no longer there; nor are the slots of what was erased.
    CHECK(loaded.values.size() < g.values.size());
    for (const ir::value& v : loaded.values) {
      if (v.role == value_role::state) CHECK(v.name == "features.0.bias");
    }
    for (const ir::node& n : loaded.nodes) CHECK(n.op != "");
  }
}

TEST_CASE("saved: a loaded graph can be worked on: names made up are new ones") {
  const auto x = random_tensor({6, 2, 6, 6}, 7);
  const ir::graph g = test::finalized(image_net(), x);
  ir::graph loaded = ir::load(ir::save(g));
  const std::size_t before = loaded.order.size();
  traits::insert_fake_quant(loaded, loaded.inputs[0], {});
  traits::insert_fake_quant(loaded, loaded.inputs[0], {});
  std::vector<std::string> names;
  for (const ir::node_id n : loaded.order) names.push_back(loaded.at(n).name);
  std::ranges::sort(names);
  CHECK(names.size() == before + 2);
  CHECK(std::ranges::adjacent_find(names) == names.end());
}

TEST_CASE("saved: every kind of field comes back bit for bit") {
  const ir::graph g = odd_graph();
  const auto bytes = ir::save(g);
  const ir::graph loaded = ir::load(bytes);
  check_same(g, loaded);
  CHECK(ir::save(loaded) == bytes);
  const ir::graph empty = ir::load(ir::save(ir::graph{}));
  CHECK(empty.order.empty());
  CHECK(empty.values.empty());
  // NaN payloads too, which no comparison of floats sees.
  ir::builder b;
  const float nan = std::bit_cast<float>(0x7fc12345U);
  b.output(b.state("nan", tensor<float>({1}, {nan})));
  const ir::graph with_nan = std::move(b).build();
  check_same(with_nan, ir::load(ir::save(with_nan)));
}

TEST_CASE("saved: every prefix and every changed byte is refused") {
  const auto bytes = ir::save(odd_graph());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CHECK_ERROR(ir::load(std::span(bytes).first(n)), corrupt_data, "ir::load");
  }
  auto longer = bytes;
  longer.push_back(0);
  CHECK_ERROR(ir::load(longer), corrupt_data, "checksum");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int x = 1; x < 256; x += i < 16 ? 1 : 2) {
      auto broken = bytes;
      broken[i] = static_cast<std::uint8_t>(broken[i] ^ x);
      try {
        ir::load(broken);
        FAIL("byte ", i, " of another value was read");
      } catch (const error& e) {
        if (e.code() != errc::corrupt_data && e.code() != errc::unsupported) FAIL(e.what());
      }
    }
  }
}

TEST_CASE("saved: changed bytes behind a correct checksum are an error or another graph") {
  const auto bytes = ir::save(odd_graph());
  std::size_t read = 0;
  for (std::size_t i = 8; i + 8 < bytes.size(); ++i) {
    for (const int x : {1, 2, 0x10, 0x7f, 0x80, 0xff}) {
      auto other = bytes;
      other[i] = static_cast<std::uint8_t>(other[i] ^ x);
      other = resealed(std::move(other));
      try {
        const ir::graph g = ir::load(other);
        ++read;
        if (ir::save(g).size() > other.size()) FAIL("byte ", i);
      } catch (const error&) {}
    }
  }
  CHECK(read > bytes.size());      // letters of names, floats, codes
  CHECK(read < 5 * bytes.size());  // counts, numbers of values, flags, shapes
  // And what is cut out of the middle.
  for (std::size_t i = 8; i + 8 < bytes.size(); ++i) {
    auto other = bytes;
    other.erase(other.begin() + static_cast<std::ptrdiff_t>(i));
    other = resealed(std::move(other));
    try {
      const ir::graph g = ir::load(other);
      ir::save(g);
    } catch (const error&) {
      ++read;
    }
  }
  CHECK(read > bytes.size());
}

TEST_CASE("saved: what cannot be saved or read says so") {
  ir::graph prepared = image_net();
  traits::set_output(prepared, 0, traits::insert_fake_quant(prepared, prepared.outputs[0], {}));
  CHECK_ERROR(ir::save(prepared), invalid_state, "not finalized", "fake_quant", "quantizer::save");
  ir::graph dangling = image_net();
  dangling.outputs.push_back({99});
  CHECK_ERROR(ir::save(dangling), invalid_graph, "dangling", "99");
  ir::graph no_palette = odd_graph();
  for (ir::value& v : no_palette.values) v.palette.reset();
  CHECK_ERROR(ir::save(no_palette), invalid_graph, "without a palette", "table");
  ir::graph broken = odd_graph();
  for (ir::value& v : broken.values) {
    if (v.palette) v.palette->n_bits = 9;
  }
  CHECK_ERROR(ir::save(broken), corrupt_data, "n_bits", "table");
  ir::graph codes = odd_graph();
  for (ir::value& v : codes.values) {
    if (v.affine) v.affine->codes.pop_back();
  }
  CHECK_ERROR(ir::save(codes), corrupt_data, "code stream", "coded");
  ir::graph parameters = odd_graph();
  for (ir::node& n : parameters.nodes) {
    if (n.quantization) n.quantization->scale[0] = 0;
  }
  CHECK_ERROR(ir::save(parameters), invalid_argument, "scale out of range", "quantize");

  auto bytes = ir::save(image_net());
  bytes[4] = 1;
  CHECK_ERROR(ir::load(bytes), unsupported, "another version", "ir::load");
  bytes[0] ^= 1;
  CHECK_ERROR(ir::load(bytes), corrupt_data, "not a saved graph");
  CHECK_ERROR(ir::load({}), corrupt_data, "ir::load");
}

TEST_CASE("saved: a palette that no node restores into is refused where a graph is used") {
  ir::graph g;
  g.nodes.push_back({.op = "lut_to_dense", .name = "n"});
  g.order.push_back({0});
  const ir::graph loaded = ir::load(resealed(ir::save(g)));
  CHECK_ERROR(ir::interpreter(loaded), invalid_graph, "one result is needed",
              "node 'n' (lut_to_dense)");
  ir::builder b;
  b.output(b.input("x"));
  ir::graph beside = std::move(b).build();
  beside.nodes.push_back({.op = "lut_to_dense", .name = "n"});
  beside.order.push_back({0});
  const ir::graph again = ir::load(resealed(ir::save(beside)));
  CHECK_ERROR(ir::interpreter(again), invalid_graph, "one result is needed", "'n'");
  CHECK_ERROR(ir::lower(again), invalid_graph, "one result is needed", "node 'n' (lut_to_dense)");
  // Two results, one of them with a palette.
  ir::graph two = odd_graph();
  const auto at = std::ranges::find(two.nodes, "lut_to_dense", &ir::node::op);
  REQUIRE(at != two.nodes.end());
  const ir::node_id restores{at - two.nodes.begin()};
  two.values.push_back({.producer = restores});
  two.at(restores).results.push_back({static_cast<index_t>(two.values.size()) - 1});
  const ir::graph both = ir::load(resealed(ir::save(two)));
  CHECK_ERROR(ir::interpreter(both), invalid_graph, "one result is needed", "lut_to_dense");
}

TEST_CASE("saved: a transposed palette is refused, by the name of its value") {
  ir::graph g = odd_graph();
  const auto at = std::ranges::find(g.values, value_role::packed_state, &ir::value::role);
  REQUIRE(at != g.values.end());
  REQUIRE(at->palette.has_value());
  at->palette->transposed = true;
  CHECK_ERROR(ir::save(g), unsupported, "transposed palette is not saved", at->name.c_str());
}

TEST_CASE("saved: values that nothing mentions are refused") {
  const std::uint8_t input = static_cast<std::uint8_t>(value_role::graph_input);
  const auto written = [&](std::initializer_list<const char*> names) {
    state_writer w;
    w.u32(ir::saved_format::magic);
    w.u32(ir::saved_format::version);
    w.u64(names.size());
    for (const char* name : names) {
      w.text(name);
      w.u8(input);
      w.u8(1);
    }
    w.u64(0);  // nodes
    w.u64(1);  // inputs
    w.i64(0);
    w.u64(0);  // outputs
    w.u64(0);  // modules
    w.u8(0);
    return sealed(std::move(w));
  };
  CHECK(ir::load(written({"x"})).values.size() == 1);
  CHECK_ERROR(ir::load(written({"x", "stray"})), corrupt_data, "nothing mentions", "'stray'");
}

TEST_CASE("saved: what is wrong within a node or a value names it") {
  ir::builder b;
  b.output(b.relu(b.input("x")));
  ir::graph g = std::move(b).build();
  g.at(g.order[0]).literals = {{"slope", {1}}};
  const auto bytes = ir::save(g);
  const auto changed = [&](std::string_view before, std::ptrdiff_t by) {
    auto other = bytes;
    const auto at = std::search(other.begin(), other.end(), before.begin(), before.end());
    REQUIRE(other.end() - at > by);
    at[by] ^= 0x40;
    return resealed(std::move(other));
  };
  // The count of numbers behind the key; the role behind the name.
  CHECK_ERROR(ir::load(changed("slope", 5)), corrupt_data, "count exceeds the bytes left",
              "(node 'relu' (relu), ir::load, byte ");
  CHECK_ERROR(ir::load(changed("x", 1)), corrupt_data, "not a role", "(value 'x', ir::load, byte ");
}

TEST_CASE("saved: an input listed twice and an unknown dtype are refused") {
  ir::graph twice = image_net();
  twice.inputs.push_back(twice.inputs[0]);
  CHECK_ERROR(ir::save(twice), invalid_graph, "graph input listed twice", "'x'");

  const auto bytes = ir::save(odd_graph());
  const std::string_view name = "uint4";
  const auto at = std::search(bytes.begin(), bytes.end(), name.begin(), name.end()) - bytes.begin();
  REQUIRE(at < static_cast<std::ptrdiff_t>(bytes.size()));
  auto other = bytes;
  other[static_cast<std::size_t>(at) + 4] = '9';
  const std::string where = "ir::load, byte " + text_of(static_cast<index_t>(at) + 5);
  CHECK_ERROR(ir::load(resealed(std::move(other))), corrupt_data, "not a dtype", "'uint9'",
              where.c_str(), "(quantize)");
}
