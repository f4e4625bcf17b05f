// lutra examples: mnist/options.hpp - the command line of the demo.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/affine/spec.hpp>
#include <optional>
#include <string>

namespace lutra_examples {

struct mnist_options {
  int bits = 4;
  int group_size = 0;   // rows that share a table; 0: one table per weight
  int target_bits = 0;  // > 0: mixed precision of the size that this many bits everywhere give
  int measured_images = 128;  // of the calibration images, for comparing widths
  lutra::qscheme lut_scheme = lutra::qscheme::symmetric_with_clipping;
  int calibration_images = 2176;
  int test_images = 10000;
  int threads = 1;
  std::string model = LUTRA_SOURCE_DIR "/examples/data/mnist_cnn.safetensors";
  std::string images = LUTRA_SOURCE_DIR "/examples/data/t10k-images-idx3-ubyte.gz";
  std::string labels = LUTRA_SOURCE_DIR "/examples/data/t10k-labels-idx1-ubyte.gz";
  std::string calibration = LUTRA_SOURCE_DIR "/examples/data/train-2176-images-idx3-ubyte.gz";
  std::string report = LUTRA_SOURCE_DIR "/build/demo/report.json";
  std::string output = LUTRA_SOURCE_DIR "/build/demo/mnist_p4a8.safetensors";
};

// Parses the command line. After --help or a mistake: the exit status of the program.
std::optional<int> parse(int argc, char** argv, mnist_options& o);

}  // namespace lutra_examples
