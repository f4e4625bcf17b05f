// Your tensor type in lutra: one specialisation, no copy. Everything between the markers is what a user
// writes; acme stands for a library you cannot change.
#include <cmath>
#include <cstdio>
#include <lutra/affine/quantize.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <lutra/tensor/traits.hpp>
#include <memory>

namespace acme {

// A foreign tensor: channels last in memory, rows padded to 16 floats, shared ownership.
struct blob {
  int batch = 0, height = 0, width = 0, channels = 0;
  int row_floats = 0;  // floats from one pixel row to the next, padding included
  std::shared_ptr<float[]> memory;
};

blob make_blob(int batch, int height, int width, int channels) {
  const int row = (width * channels + 15) / 16 * 16;
  const auto floats = static_cast<std::size_t>(batch * height * row);
  return {batch, height, width, channels, row, std::shared_ptr<float[]>(new float[floats]())};
}

}  // namespace acme

// [adapt]
// lutra sees axes in the order you choose: here [batch, channels, height, width], as convolutions expect,
// over memory whose channels come last. Strides are in elements, in the order of the axes.
template <> struct lutra::tensor_traits<acme::blob> {
  static tensor_view<const float> view(const acme::blob& b) { return make<const float>(b); }
  static tensor_view<float> view(acme::blob& b) { return make<float>(b); }

 private:
  template <class T> static tensor_view<T> make(const acme::blob& b) {
    const index_t row = b.row_floats;
    const index_t strides[] = {b.height * row, 1, row, b.channels};
    return {b.memory.get(), shape{b.batch, b.channels, b.height, b.width}, strides};
  }
};
static_assert(lutra::writable_tensor<acme::blob>);  // a mistake in the lines above shows up here

// From now on palettize, restore and the products take the type itself, all else its lutra::view(blob).
double palettize_in_place(acme::blob& weight) {
  const acme::blob& before = weight;
  const lutra::palette<float> palette =
      lutra::palettize(before, {.n_bits = 4, .lut_qspec = lutra::int8_symmetric_with_clipping});
  lutra::restore(lutra::pack(palette), weight);  // written through the strides
  return palette.inertia[0];
}
// [adapt]

int main() {
  acme::blob weight = acme::make_blob(8, 3, 3, 5);
  lutra::index_t i = 0;
  lutra::for_each_element(lutra::view(weight), [&](float& w) {
    w = static_cast<float>(std::sin(static_cast<double>(++i)));
  });
  const auto original = lutra::tensor<float>::copy_of(weight);

  const double inertia = palettize_in_place(weight);

  const auto restored = lutra::tensor<float>::copy_of(weight);
  double error = 0;
  for (lutra::index_t k = 0; k < original.size(); ++k) {
    const double d = static_cast<double>(original[k]) - static_cast<double>(restored[k]);
    error += d * d;
  }
  double padding = 0;  // what lies between the rows belongs to acme and must not change
  for (int row = 0; row < weight.batch * weight.height; ++row) {
    for (int k = weight.width * weight.channels; k < weight.row_floats; ++k) {
      padding += std::fabs(static_cast<double>(weight.memory[row * weight.row_floats + k]));
    }
  }
  std::printf("%td weights, inertia %.6f, error with int8 table %.6f, padding %s\n",
              original.size(), inertia, error, padding == 0 ? "untouched" : "CHANGED");
  const bool good =
      inertia > 0 && error >= 0.999 * inertia && error < 1.2 * inertia && padding == 0;
  return good ? 0 : 1;
}
