#include <lutra/ir/layer_parameters.hpp>

#include <lutra/ir/builder.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;

TEST_CASE("layer_parameters: kernels of one and three axes are those of images") {
  packed_palette p{};
  p.weight_shape = {4, 3, 5};
  p.block = {2, 3, 5};
  const packed_palette line = ir::as_planes(p);
  CHECK(line.weight_shape == shape{4, 3, 1, 5});
  CHECK(line.block == shape{2, 3, 1, 5});
  p.weight_shape = {4, 3, 2, 5, 6};
  p.block = {2, 3, 2, 5, 6};
  const packed_palette volume = ir::as_planes(p);
  CHECK(volume.weight_shape == shape{4, 6, 5, 6});
  CHECK(volume.block == shape{2, 6, 5, 6});
  p.block = {4, 1, 2, 5, 6};
  CHECK_ERROR(ir::as_planes(p), unsupported, "one table per row", "[4, 1, 2, 5, 6]",
              "output channels");
  p.weight_shape = {4, 3, 5, 6};
  p.block = p.weight_shape;
  CHECK(ir::as_planes(p) == p);
}

TEST_CASE("layer_parameters: windows of volumes, depth apart from the slice") {
  const auto w =
      ir::volume_windows_of(node_of("conv_transpose3d", {{"stride", {2, 3, 4}},
                                                         {"padding", {1, 0, 2}},
                                                         {"dilation", {5, 6, 7}},
                                                         {"output_padding", {1, 2, 3}}}));
  CHECK(w.depth.window == window2d::symmetric({1, 2}, {0, 1}, {1, 5}));
  CHECK(w.depth.output_padding == std::array<index_t, 2>{0, 1});
  CHECK(w.plane.window == window2d::symmetric({3, 4}, {0, 2}, {6, 7}));
  CHECK(w.plane.output_padding == std::array<index_t, 2>{2, 3});
  CHECK(ir::volume_windows_of(node_of("conv3d")).depth.window == window2d{});
}

TEST_CASE("layer_parameters: a weight without a palette is named") {
  ir::builder b;
  const auto x = b.input("x");
  const auto w = b.state("fc.weight", tensor<float>({2, 3}));
  b.output(b.linear(x, w));
  const ir::graph g = std::move(b).build();
  CHECK_ERROR(ir::palette_of(g, g.nodes[0], 2), unsupported, "palettized weight", "'fc.weight'");
  CHECK_ERROR(ir::palette_of(g, node_of("linear"), 2), unsupported, "palettized weight");
}

TEST_CASE("layer_parameters: units of the sums before an activation are normal floats") {
  const auto codes = [](float scale) {
    return qparams{.scale = {scale}, .zero_point = {0}, .minval = {}};
  };
  const ir::node silu = node_of("silu");
  for (const float s : {1e-20F, 1e-23F, 1e20F}) {  // subnormal, zero, infinite; the outputs fit all
    packed_palette p{};
    p.weight_shape = p.block = {1, 1};
    p.n_bits = 1;
    p.codes = {0};
    p.lut_codes = {1, 2};
    p.scale = {s};
    const lut_matrix w = make_lut_matrix(p);
    CHECK_ERROR(ir::activation_of({}, node_of("linear"), w, codes(s), codes(s), &silu), unsupported,
                "normal multiplier", "row 0");
    CHECK(ir::activation_of({}, node_of("linear"), w, codes(1.0F), codes(s), &silu)
              ->sums.multiplier[0] == s);
  }
}
