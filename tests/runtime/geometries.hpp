// Random convolutions for the runtime tests.
#pragma once

#include <lutra/runtime/conv.hpp>

#include "runtime/palettes.hpp"

namespace test {

struct geometry {
  index_t n, channels, filters;  // channels and filters per group
  index_t height, width;
  index_t kernel_height, kernel_width;
  conv2d_options options;
};

inline shape output_of(const geometry& g) {
  return {g.n, g.filters * g.options.groups,
          output_extent(g.options.window, 0, g.height, g.kernel_height),
          output_extent(g.options.window, 1, g.width, g.kernel_width)};
}

inline geometry random_geometry(random_stream& r) {
  geometry g{.n = test::pick(r, 1, 3),
             .channels = test::pick(r, 1, 5),
             .filters = test::pick(r, 1, 20),
             .height = test::pick(r, 1, 20),
             .width = test::pick(r, 1, 40),
             .kernel_height = test::pick(r, 1, 4),
             .kernel_width = test::pick(r, 1, 4),
             .options = {}};
  for (std::size_t a = 0; a < 2; ++a) {
    g.options.window.stride[a] = test::pick(r, 1, 3);
    g.options.window.padding[a] = test::pick(r, 0, 3);
    g.options.window.padding_end[a] = test::pick(r, 0, 3);
    g.options.window.dilation[a] = test::pick(r, 1, 3);
  }
  g.options.groups = test::pick(r, 1, 4);
  g.options.padding_value = static_cast<std::int8_t>(test::pick(r, -128, 127));
  return g;
}

}  // namespace test
