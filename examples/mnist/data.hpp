// lutra examples: mnist/data.hpp - digits as normalised float batches.
// SPDX-License-Identifier: Apache-2.0
//
// Normalisation in f32, in this order: ((x / 255) - 0.1307) / 0.3081, each operation rounded. There
// are 256 different pixels, so it is a table.
#pragma once

#include <array>
#include <common/idx.hpp>
#include <string>

namespace lutra_examples {

inline const std::array<float, 256>& normalised_pixels() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> t{};
    for (std::size_t x = 0; x < t.size(); ++x) {
      const float unit = static_cast<float>(x) / 255.0F;
      const float centred = unit - 0.1307F;  // a difference and a quotient: nothing to contract
      t[x] = centred / 0.3081F;
    }
    return t;
  }();
  return table;
}

// The first `count` images of a file (all of them if there are fewer), as bytes [n, 28, 28].
inline lutra::tensor<std::uint8_t> read_digits(const std::string& path, lutra::index_t count) {
  lutra::tensor<std::uint8_t> images = read_idx(path, 3);
  const lutra::shape& s = images.extents();
  if (s[0] == 0 || s[1] != 28 || s[2] != 28) {
    lutra::raise(lutra::errc::shape_mismatch, "not a file of digits", path, lutra::text_of(s),
                 "[n, 28, 28] with n >= 1");
  }
  count = std::min(count, s[0]);
  images.elements().resize(static_cast<std::size_t>(count * 28 * 28));
  return {{count, 28, 28}, std::move(images.elements())};
}

// Images [first, first + count) as a batch [count, 1, 28, 28].
inline lutra::tensor<float> batch_of(const lutra::tensor<std::uint8_t>& images,
                                     lutra::index_t first, lutra::index_t count) {
  const auto& pixel = normalised_pixels();
  lutra::tensor<float> batch({count, 1, 28, 28});
  const std::uint8_t* in = images.data() + first * 28 * 28;
  for (lutra::index_t i = 0; i < batch.size(); ++i) batch[i] = pixel[in[i]];
  return batch;
}

// All images in batches of `size`, the last one perhaps shorter.
inline std::vector<lutra::tensor<float>> batches_of(const lutra::tensor<std::uint8_t>& images,
                                                    lutra::index_t size) {
  std::vector<lutra::tensor<float>> batches;
  for (lutra::index_t i = 0; i < images.extent(0); i += size) {
    batches.push_back(batch_of(images, i, std::min(size, images.extent(0) - i)));
  }
  return batches;
}

}  // namespace lutra_examples
