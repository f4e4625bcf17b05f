#include <common/model_file.hpp>
#include <csignal>
#include <lutra/ir/lower.hpp>

#include <sys/resource.h>

#include "errors.hpp"
#include "ir/finalized.hpp"
#include "temporary_directory.hpp"

using namespace lutra;
using lutra_examples::load_model;
using lutra_examples::safetensors_reader;
using lutra_examples::save_model;
using test::random_tensor;

namespace {

ir::graph small_net() {
  ir::builder b;
  b.module("c", "nn.Conv2d");
  const auto x = b.input("x");
  const auto c = b.relu(b.conv2d(x, b.state("c.weight", random_tensor({4, 1, 3, 3}, 1)),
                                 b.state("c.bias", random_tensor({4}, 2)), {.padding = {1, 1}}));
  b.module("");
  b.output(b.linear(b.flatten(b.max_pool2d(c)), b.state("fc.weight", random_tensor({5, 36}, 4)),
                    b.state("fc.bias", random_tensor({5}, 5))));
  return std::move(b).build();
}
const tensor<float>& sample() {
  static const tensor<float> x = random_tensor({9, 1, 6, 6}, 7);
  return x;
}
ir::graph compressed() { return test::finalized(small_net(), sample(), {}, 2); }

// The file of compressed(), with one piece of its graph text replaced.
std::string edited(const test::temporary_directory& dir, const std::string& from,
                   const std::string& to) {
  save_model(dir.file("model"), compressed());
  safetensors_reader file(dir.file("model"));
  auto metadata = file.metadata();
  std::string& graph = metadata.at("lutra.graph");
  const auto at = graph.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, graph);
  graph.replace(at, from.size(), to);
  std::vector<std::vector<std::uint8_t>> bytes;
  std::vector<lutra_examples::tensor_bytes> tensors;
  bytes.reserve(file.tensors().size());
  for (const auto& t : file.tensors()) {
    bytes.push_back(file.read_bytes(t));
    tensors.push_back({t.name, t.dtype, t.extents, bytes.back()});
  }
  lutra_examples::write_safetensors(dir.file("edited"), tensors, metadata);
  return dir.file("edited");
}

}  // namespace

TEST_CASE("model_file: a model read back gives the same bits, in float and in integers") {
  test::temporary_directory dir;
  const ir::graph g = compressed();
  save_model(dir.file("model"), g);
  const ir::graph loaded = load_model(dir.file("model"));
  CHECK(test::same_bits(ir::interpreter(loaded).run(sample()), ir::interpreter(g).run(sample())));
  CHECK(ir::lower(loaded).run_codes(lutra::view(sample())) ==
        ir::lower(g).run_codes(lutra::view(sample())));
  CHECK(loaded.module_types == g.module_types);
  // Saving what was loaded gives the same file: nothing was lost, nothing depends on history.
  save_model(dir.file("again"), loaded);
  CHECK(test::slurp(dir.file("again")) == test::slurp(dir.file("model")));
}

TEST_CASE("model_file: the file holds no float weights") {
  test::temporary_directory dir;
  save_model(dir.file("model"), compressed());
  const safetensors_reader file(dir.file("model"));
  CHECK(file.find("c.weight") == nullptr);
  CHECK(file.find("fc.weight") == nullptr);
  CHECK(file.at("fc.weight.codes").dtype == "U8");
  CHECK(file.at("fc.weight.codes").bytes() == 90);
  CHECK(file.at("fc.weight.lut").dtype == "I8");
  CHECK(file.at("fc.weight.lut").extents == shape{3, 16});
  CHECK(file.at("fc.weight.scale").extents == shape{3});
  CHECK(file.find("fc.weight.zero_point") == nullptr);
  CHECK(file.at("x_quantize.scale").dtype == "F32");
  CHECK(file.at("x_quantize.zero_point").dtype == "I32");
  CHECK(file.metadata().at("lutra.schema") == "1");
  const ir::graph loaded = load_model(dir.file("model"));
  for (const ir::value& v : loaded.values) {
    if (v.role == value_role::state) CHECK(v.name.ends_with(".bias"));
  }
}

TEST_CASE("model_file: float models and float tables can be saved too") {
  test::temporary_directory dir;
  save_model(dir.file("float"), small_net());
  CHECK(test::same_bits(ir::interpreter(load_model(dir.file("float"))).run(sample()),
                        ir::interpreter(small_net()).run(sample())));
  ir::graph g = small_net();
  palettizer_config config;
  config.global_config.op_state_spec = {
      {"weight", palettization_spec{.n_bits = 3, .enable_per_channel_scale = true}}};
  kmeans_palettizer palettizer(g, config);
  palettizer.prepare();
  palettizer.finalize();
  save_model(dir.file("tables"), g);
  CHECK(test::same_bits(ir::interpreter(load_model(dir.file("tables"))).run(sample()),
                        ir::interpreter(g).run(sample())));
}

TEST_CASE("model_file: a prepared graph is not a model") {
  test::temporary_directory dir;
  ir::graph g = small_net();
  quantizer<ir::graph> q(g);
  q.prepare();
  CHECK_ERROR(save_model(dir.file("model"), g), invalid_state, "finalize it first", "fake_quant");
  CHECK(dir.entries() == 0);
}

TEST_CASE("model_file: every prefix of a model file is refused") {
  test::temporary_directory dir;
  save_model(dir.file("model"), compressed());
  const test::bytes whole = test::slurp(dir.file("model"));
  for (std::size_t n = 0; n < whole.size(); n += n < 16 || n + 16 > whole.size() ? 1U : 37U) {
    test::dump(dir.file("cut"), test::first(whole, n));
    CHECK_ERROR(load_model(dir.file("cut")), corrupt_data, "cut");
  }
}

TEST_CASE("model_file: damage is refused or gives a graph that is one, and never crashes") {
  test::temporary_directory dir;
  save_model(dir.file("model"), compressed());
  const test::bytes whole = test::slurp(dir.file("model"));
  random_stream random(5);
  for (int i = 0; i < 400; ++i) {
    test::bytes damaged = whole;
    for (int k = 0; k < 2; ++k) {
      damaged[random.below(damaged.size())] = static_cast<std::uint8_t>(random.next());
    }
    test::dump(dir.file("damaged"), damaged);
    try {
      const ir::graph g = load_model(dir.file("damaged"));
      ir::verify(g);
      ir::lower(g).run(sample());
    } catch (const lutra::error&) {}
  }
}

TEST_CASE("model_file: a graph text that contradicts itself is refused") {
  test::temporary_directory dir;
  const auto load = [&](const char* from, const char* to) { load_model(edited(dir, from, to)); };
  CHECK_NOTHROW(load("\"module\":\"c\"", "\"module\":\"d\""));
  CHECK_ERROR(load("\"op\":", "\"operation\":"), corrupt_data, "missing member", "op");
  CHECK_ERROR(load("\"results\":[", "\"results\":[999,"), corrupt_data, "out of range", "999");
  CHECK_ERROR(load("\"inputs\":[0]", "\"inputs\":[-1]"), corrupt_data, "got -1");
  CHECK_ERROR(load("\"inputs\":[0]", "\"inputs\":[]"), invalid_graph, "dangling operand", "'x'");
  CHECK_ERROR(load("\"role\":\"state\"", "\"role\":\"statue\""), corrupt_data, "'statue'");
  CHECK_ERROR(load("\"name\":\"c.bias\"", "\"name\":\"c.bios\""), invalid_argument, "c.bios");
  CHECK_ERROR(load("\"name\":\"c.bias\"", "\"name\":\"c.weight.codes\""), corrupt_data, "U8",
              "F32");
  CHECK_ERROR(load("\"dtype\":\"int8\"", "\"dtype\":\"int9\""), unsupported, "int9");
  CHECK_ERROR(load("\"quant_max\":127", "\"quant_max\":1270"), corrupt_data, "1270");
  CHECK_ERROR(load("\"quant_max\":127", "\"quant_max\":200"), invalid_argument, "-128..200");
  CHECK_ERROR(load("\"groups\":[1.0]", "\"groups\":1.0"), corrupt_data, "list is needed");
  CHECK_ERROR(load("\"float\":true", "\"float\":1"), corrupt_data, "true or false");
  CHECK_ERROR(load("{\"inputs\"", "{\"inputs\":[],\"inputs\""), corrupt_data, "duplicate key");
  CHECK_ERROR(load("{\"inputs\"", "[{\"inputs\""), corrupt_data, "not JSON");
  CHECK_ERROR(load_model(LUTRA_SOURCE_DIR "/examples/data/mnist_cnn.safetensors"), unsupported,
              "not a model file", "no schema");
}

TEST_CASE("model_file: a full disk leaves the older model as it was") {
  test::temporary_directory dir;
  save_model(dir.file("model"), compressed());
  const test::bytes before = test::slurp(dir.file("model"));
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{512, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_ERROR(save_model(dir.file("model"), small_net()), io_error, "model");
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(test::slurp(dir.file("model")) == before);
  CHECK(dir.entries() == 1);
}
