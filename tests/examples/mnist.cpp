// Runs the demo program and holds its report against the figures it has to reach. With
// LUTRA_TEST_QUICK (slow machines, emulators) only the first images are evaluated and only what does
// not depend on their number is asserted.
#include <doctest/doctest.h>

#include <common/safetensors.hpp>
#include <cstdlib>
#include <mnist/evaluate.hpp>
#include <nlohmann/json.hpp>

#include "quick.hpp"
#include "temporary_directory.hpp"

namespace {

using report_json = nlohmann::ordered_json;

struct outcome {
  int status = -1;
  std::string text;    // stdout and stderr
  report_json report;  // without "seconds"; null if none was written
};

std::string as_text(const test::bytes& b) { return std::string(b.begin(), b.end()); }

// Runs the demo with its files in `dir`. LUTRA_TEST_RUNNER (an emulator) goes in front.
outcome demo(const test::temporary_directory& dir, const std::string& arguments) {
  const char* runner = std::getenv("LUTRA_TEST_RUNNER");
  std::filesystem::remove(dir.file("report.json"));
  const std::string command = std::string(runner != nullptr ? runner : "") +
                              " " LUTRA_PROGRAM_mnist " " + arguments + " --report " +
                              dir.file("report.json") + " --output " +
                              dir.file("model.safetensors") + " > " + dir.file("log") + " 2>&1";
  outcome o;
  o.status = std::system(command.c_str());
  o.text = as_text(test::slurp(dir.file("log")));
  const test::bytes report = test::slurp(dir.file("report.json"));
  if (!report.empty()) {
    o.report = report_json::parse(as_text(report));
    o.report.erase("seconds");
  }
  return o;
}
outcome good_demo(const test::temporary_directory& dir, std::string arguments) {
  if (test::quick()) arguments += " --test-images 100 --calibration-images 256";
  outcome o = demo(dir, arguments);
  REQUIRE_MESSAGE(o.status == 0, o.text);
  REQUIRE(o.report.is_object());
  return o;
}

void check_consistent(const report_json& report) {
  const auto& checks = report.at("checks");
  CHECK(checks.at("simulated_equals_fake_quant") == true);
  const auto& logits = checks.at("integer_logits");
  CHECK(logits.at("largest_difference_in_steps") <= 1);
  CHECK(logits.at("differing").get<double>() <= 0.005 * logits.at("total").get<double>());
  const double simulated = report.at("accuracy").at("simulated");
  const double integer = report.at("accuracy").at("integer");
  CHECK(std::abs(simulated - integer) <= 0.02 + 1e-9);
}

}  // namespace

TEST_CASE("mnist: the default run reaches its accuracy and size") {
  test::temporary_directory dir;
  const report_json report = good_demo(dir, "").report;
  check_consistent(report);
  CHECK(report.at("weights").at("bytes_before") == 252032);
  CHECK(report.at("weights").at("bytes_after") <= 31900);
  CHECK(report.at("options").at("lut_scheme") == "symmetric_with_clipping");
  CHECK(report.at("layers").size() == 2);
  CHECK(report.at("layers").at(1).at("name") == "fc.weight");
  CHECK(report.at("layers").at(1).at("bits") == 4);
  CHECK(report.at("layers").at(1).at("groups") == 1);
  CHECK(report.at("layers").at(1).at("sqnr_db") > 17.5);
  if (test::quick()) return;
  CHECK(report.at("accuracy").at("float") == 98.23);
  CHECK(report.at("accuracy").at("simulated") >= 98.0);
  CHECK(report.at("checks").at("integer_logits").at("total") == 100000);
}

TEST_CASE("mnist: the reference arithmetic gives the reference's figures") {
  test::temporary_directory dir;
  const report_json report = good_demo(dir, "--lut-scheme symmetric").report;
  check_consistent(report);
  const auto close = [](const report_json& value, double expected, double tolerance) {
    CHECK(value.get<double>() == doctest::Approx(expected).epsilon(tolerance));
  };
  close(report.at("layers").at(0).at("inertia"), 0.105512335, 5e-9);
  close(report.at("layers").at(1).at("inertia"), 1.60188494, 5e-9);
  CHECK(report.at("activations").size() == 3);
  CHECK(report.at("activations").at(1).at("values") ==
        report_json{"relu", "max_pool2d", "flatten"});
  if (test::quick()) return;
  close(report.at("activations").at(0).at("scale"), 0.0221293, 5e-6);
  close(report.at("activations").at(1).at("scale"), 0.0303000, 5e-6);
  close(report.at("activations").at(2).at("scale"), 0.218147, 5e-6);
  for (const auto& a : report.at("activations")) CHECK(a.at("zero_point") == 0);
  CHECK(std::abs(report.at("accuracy").at("simulated").get<double>() - 98.11) <= 0.05);
}

TEST_CASE("mnist: the network with batch norms is folded, compressed and run on integers") {
  test::temporary_directory dir;
  const std::string model = "--model " LUTRA_SOURCE_DIR "/examples/data/mnist_bn.safetensors";
  const report_json report = good_demo(dir, model).report;
  CHECK(report.at("checks").at("simulated_equals_fake_quant") == true);
  CHECK(report.at("checks").at("integer_logits").at("largest_difference_in_steps") <= 4);
  REQUIRE(report.at("batch_norms").size() == 5);
  const char* layers[] = {"conv2d", "conv2d_1", "conv2d_2", "conv_transpose2d", "linear"};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(report.at("batch_norms").at(i).at("layer") == layers[i]);
    CHECK(report.at("batch_norms").at(i).at("outcome") == "folded");
  }
  CHECK(report.at("layers").size() == 6);
  CHECK(report.at("activations").size() == 7);
  CHECK(report.at("weights").at("bytes_before") == 242048);
  CHECK(report.at("weights").at("bytes_after") <= 30400);
  const lutra_examples::safetensors_reader file(dir.file("model.safetensors"));
  CHECK(file.at("conv1.bias").extents == lutra::shape{16});  // made by folding
  for (const auto& t : file.tensors()) CHECK(t.name.find("bn") == std::string::npos);
  if (test::quick()) return;
  const auto& accuracy = report.at("accuracy");
  const double original = accuracy.at("float"), simulated = accuracy.at("simulated");
  CHECK(original == 99.34);
  CHECK(original - simulated <= 0.3 + 1e-9);
  CHECK(std::abs(simulated - 99.11) <= 0.05 + 1e-9);  // of an independent implementation
  CHECK(std::abs(simulated - accuracy.at("integer").get<double>()) <= 0.05 + 1e-9);
}

TEST_CASE("mnist: fewer bits and groups of rows lose what the reference loses") {
  if (test::quick()) return;
  test::temporary_directory dir;
  const struct {
    const char* arguments;
    double simulated;
  } cases[] = {{"--bits 2", 89.59},
               {"--bits 3", 97.65},
               {"--bits 2 --group-size 2", 96.29},
               {"--bits 4 --group-size 2", 98.20}};
  for (const auto& c : cases) {
    const report_json report =
        good_demo(dir, std::string("--lut-scheme symmetric ") + c.arguments).report;
    CAPTURE(std::string(c.arguments));
    check_consistent(report);
    CHECK(std::abs(report.at("accuracy").at("simulated").get<double>() - c.simulated) <= 0.05);
  }
}

TEST_CASE("mnist: mixed precision loses less than uniform bits of the same size") {
  test::temporary_directory dir;
  const std::string few = test::quick() ? " --test-images 20 --calibration-images 32"
                                        : " --test-images 1000 --calibration-images 256";
  const std::string model = "--model " LUTRA_SOURCE_DIR "/examples/data/mnist_bn.safetensors" + few;
  const std::string mixed =
      model + " --target-bits 2 --measured-images " + (test::quick() ? "2" : "32");
  const outcome chosen = demo(dir, mixed);
  REQUIRE_MESSAGE(chosen.status == 0, chosen.text);
  const auto& sizes = chosen.report.at("mixed").at("sizes");
  REQUIRE(sizes.size() == 8);
  for (const std::size_t bits : {2U, 3U, 4U}) {
    const auto& at = sizes.at(bits - 1);
    CHECK(at.at("uniform_bits") == bits);
    const double bytes = at.at("mixed").at("bytes"), target = at.at("uniform").at("bytes");
    CHECK(bytes <= target);
    if (!test::quick()) CHECK(bytes >= 0.99 * target);  // the size is used up
    CHECK(at.at("mixed").at("proven") == true);
    const double least = at.at("mixed").at("error"), uniform = at.at("uniform").at("error");
    CHECK(least < uniform);
    CHECK(at.at("mixed").at("lower_bound") == least);
  }
  // What was written is what was chosen.
  const auto& layers = chosen.report.at("mixed").at("layers");
  REQUIRE(layers.size() == 6);
  lutra::index_t bytes = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& written = chosen.report.at("layers").at(i);
    CHECK(written.at("name") == layers.at(i).at("name"));
    CHECK(written.at("bits") == layers.at(i).at("chosen").at("bits"));
    CHECK(written.at("bytes") == layers.at(i).at("chosen").at("bytes"));
    const bool matrix = layers.at(i).at("name").get<std::string>().starts_with("fc");
    CHECK(layers.at(i).at("measured").size() == (matrix ? 64 : 40));
    bytes += layers.at(i).at("chosen").at("bytes").get<lutra::index_t>();
  }
  CHECK(chosen.report.at("weights").at("bytes_after") == bytes);
  CHECK(sizes.at(1).at("mixed").at("bytes") == bytes);
  if (test::quick()) return;
  CHECK(demo(dir, mixed + " --threads 2").report == chosen.report);
  const outcome uniform = demo(dir, model + " --bits 2");
  REQUIRE_MESSAGE(uniform.status == 0, uniform.text);
  CHECK(bytes <= uniform.report.at("weights").at("bytes_after"));
  const double with_mixed = chosen.report.at("accuracy").at("simulated");
  CHECK(with_mixed > uniform.report.at("accuracy").at("simulated").get<double>() + 10);
  CHECK(with_mixed > 97);
}

TEST_CASE("mnist: threads change neither the report nor the model") {
  test::temporary_directory dir;
  const report_json one = good_demo(dir, "--threads 1 --group-size 2").report;
  const test::bytes model = test::slurp(dir.file("model.safetensors"));
  CHECK(good_demo(dir, "--threads 2 --group-size 2").report == one);
  CHECK(test::slurp(dir.file("model.safetensors")) == model);
}

TEST_CASE("mnist: the saved model holds packed weights and nothing else of them") {
  test::temporary_directory dir;
  good_demo(dir, "");
  const lutra_examples::safetensors_reader file(dir.file("model.safetensors"));
  CHECK(file.at("fc.weight.codes").bytes() == 31360);
  CHECK(file.at("conv1.weight.codes").bytes() == 144);
  CHECK(file.at("fc.weight.lut").dtype == "I8");
  std::uint64_t float_bytes = 0;
  for (const auto& t : file.tensors()) {
    if (t.dtype == "F32") float_bytes += t.bytes();
  }
  CHECK(float_bytes < 256);  // biases and scales
  CHECK(file.metadata().contains("lutra.graph"));
}

TEST_CASE("mnist: mistakes on the command line and in files end with a message and a status") {
  test::temporary_directory dir;
  const std::string data = LUTRA_SOURCE_DIR "/examples/data/";
  const auto fails = [&](const std::string& arguments, std::string_view part) {
    const outcome o = demo(dir, arguments);
    CHECK(o.status != 0);
    CHECK_MESSAGE(o.text.find(part) != std::string::npos, o.text);
    CHECK_FALSE(std::filesystem::exists(dir.file("report.json")));
    CHECK_FALSE(std::filesystem::exists(dir.file("model.safetensors")));
  };
  CHECK(demo(dir, "--help").status == 0);
  for (const char* flag :
       {"--bits", "--target-bits", "--group-size", "--lut-scheme", "--calibration-images",
        "--threads", "--model", "--images", "--labels", "--report"}) {
    CHECK(demo(dir, "--help").text.find(flag) != std::string::npos);
  }
  fails("--bits 9", "--bits");
  fails("--target-bits 9", "--target-bits");
  fails("--lut-scheme odd", "--lut-scheme");
  fails("--unknown", "--unknown");
  fails("--model " + dir.file("missing"), "cannot open the file");
  fails("--model " + data + "t10k-labels-idx1-ubyte.gz", "header");
  fails("--images " + data + "t10k-labels-idx1-ubyte.gz", "not an IDX file");
  fails("--labels " + data + "mnist_cnn.safetensors", "not an IDX file");
}

TEST_CASE("mnist: weights that are not finite or do not fit are refused by name") {
  test::temporary_directory dir;
  lutra_examples::safetensors_reader file(LUTRA_SOURCE_DIR "/examples/data/mnist_cnn.safetensors");
  auto conv = file.read<float>("conv1.weight");
  const auto conv_bias = file.read<float>("conv1.bias");
  const auto fc = file.read<float>("fc.weight");
  const auto fc_bias = file.read<float>("fc.bias");
  const auto write = [&](const lutra::shape& fc_shape) {
    using lutra_examples::tensor_of;
    lutra_examples::write_safetensors(
        dir.file("input"), {tensor_of("conv1.weight", conv.extents(), conv.elements()),
                            tensor_of("conv1.bias", conv_bias.extents(), conv_bias.elements()),
                            tensor_of("fc.weight", fc_shape, fc.elements()),
                            tensor_of("fc.bias", fc_bias.extents(), fc_bias.elements())});
  };
  const std::string arguments =
      "--test-images 8 --calibration-images 8 --model " + dir.file("input");
  write({20, 3136});
  const outcome wide = demo(dir, arguments);
  CHECK(wide.status != 0);
  CHECK_MESSAGE(wide.text.find("[20, 3136]") != std::string::npos, wide.text);
  conv[7] = std::numeric_limits<float>::quiet_NaN();
  write(fc.extents());
  const outcome nan = demo(dir, arguments);
  CHECK(nan.status != 0);
  CHECK_MESSAGE(nan.text.find("conv1.weight") != std::string::npos, nan.text);
  CHECK_MESSAGE(nan.text.find("position 7") != std::string::npos, nan.text);
  CHECK_FALSE(std::filesystem::exists(dir.file("model.safetensors")));
}

TEST_CASE("mnist: pixels are normalised as ((x / 255) - 0.1307) / 0.3081 in float") {
  for (int x = 0; x < 256; ++x) {
    volatile float unit = static_cast<float>(x) / 255.0F;
    volatile float centred = unit - 0.1307F;
    volatile float value = centred / 0.3081F;
    CHECK(lutra_examples::normalised_pixels()[static_cast<std::size_t>(x)] == value);
  }
}

TEST_CASE("mnist: accuracy counts the first of equal logits, differences count steps") {
  using lutra::tensor;
  tensor<float> logits({2, 10});
  logits[3] = logits[5] = 1.0F;
  logits[19] = 2.0F;
  CHECK(lutra_examples::correct(logits, tensor<std::uint8_t>({2}, {3, 9})) == 2);
  CHECK(lutra_examples::correct(logits, tensor<std::uint8_t>({2}, {5, 9})) == 1);
  tensor<float> other = logits;
  other[0] = 0.5F;
  other[1] = -0.25F;
  const auto d = lutra_examples::compare_logits(logits, other, 0.25F);
  CHECK(d.total == 20);
  CHECK(d.differing == 2);
  CHECK(d.largest == 2);
  CHECK(lutra_examples::same_bits(logits, logits));
  other = logits;
  other[0] = -0.0F;
  CHECK_FALSE(lutra_examples::same_bits(logits, other));
}
