// lutra examples: mnist/options.cpp - the command line, a unit of its own for CLI11's sake.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <mnist/options.hpp>

namespace lutra_examples {

std::optional<int> parse(int argc, char** argv, mnist_options& o) {
  CLI::App app{
      "A float MNIST CNN becomes 4-bit palettes with int8 tables and int8 activations, and runs on "
      "integers."};
  app.option_defaults()->always_capture_default();
  app.add_option("--bits", o.bits, "bits per weight code")->check(CLI::Range(1, 8));
  app.add_option("--group-size", o.group_size, "rows that share a table, 0: the whole weight")
      ->check(CLI::NonNegativeNumber);
  app.add_option(
         "--target-bits", o.target_bits,
         "mixed precision: bits chosen per weight, the size that of this many bits everywhere; "
         "0: --bits everywhere")
      ->check(CLI::Range(0, 8));
  app.add_option("--measured-images", o.measured_images,
                 "calibration images on which --target-bits compares widths")
      ->check(CLI::PositiveNumber);
  const std::map<std::string, lutra::qscheme> schemes{
      {"symmetric", lutra::qscheme::symmetric},
      {"symmetric_with_clipping", lutra::qscheme::symmetric_with_clipping}};
  app.add_option("--lut-scheme", o.lut_scheme, "how tables become int8")
      ->transform(CLI::CheckedTransformer(schemes))
      ->default_str("symmetric_with_clipping");
  app.add_option("--calibration-images", o.calibration_images, "images used for calibration")
      ->check(CLI::PositiveNumber);
  app.add_option("--test-images", o.test_images, "images to evaluate, from the first one")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads, "threads (needs oneTBB)")->check(CLI::PositiveNumber);
  app.add_option("--model", o.model, "float model, safetensors");
  app.add_option("--images", o.images, "test images, IDX, gz or plain");
  app.add_option("--labels", o.labels, "test labels, IDX");
  app.add_option("--calibration", o.calibration, "calibration images, IDX");
  app.add_option("--report", o.report, "figures as JSON");
  app.add_option("--output", o.output, "compressed model, safetensors");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  return std::nullopt;
}

}  // namespace lutra_examples
