// What lutra's fake-quantization by quotient::reciprocal gives on the cases that bench/peers/torch_parity.py draws:
// reads them from standard input and writes the results to standard output, in the order of run() below.
// Exit status 1 if the vectors of this CPU and single elements differ.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <lutra/fake_quant/gradient.hpp>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace lutra;

struct header {
  std::int32_t rows, columns;  // of the tensor
  std::int32_t axis;           // of the channels; -1: per tensor
  std::int32_t quant_min, quant_max;
};

template <class T> std::vector<T> read(std::size_t n) {
  std::vector<T> values(n);
  const auto bytes = static_cast<std::streamsize>(n * sizeof(T));
  std::cin.read(reinterpret_cast<char*>(values.data()), bytes);
  if (std::cin.gcount() != bytes)
    raise(errc::corrupt_data, "standard input ends too early", "torch_parity");
  return values;
}
template <class T> void write(const std::vector<T>& values) {
  std::cout.write(reinterpret_cast<const char*>(values.data()),
                  static_cast<std::streamsize>(values.size() * sizeof(T)));
}

// The narrowest type that holds the bounds.
dtype type_of(const header& h) {
  for (int i = 0; i <= static_cast<int>(dtype::uint8); ++i) {
    const auto type = static_cast<dtype>(i);
    const dtype_info d = info(type);
    if (d.quant_min <= static_cast<float>(h.quant_min) &&
        d.quant_max >= static_cast<float>(h.quant_max) && d.is_signed == (h.quant_min < 0)) {
      return type;
    }
  }
  raise(errc::invalid_argument, "no type has these bounds", "torch_parity",
        range_text(h.quant_min, h.quant_max));
}

template <class Level>
void fake_quantize_at(const tensor_view<const float>& x, const qparams& p, std::vector<float>& y,
                      std::vector<std::uint8_t>& mask) {
  fake_quantize_with_mask<Level>(x, p, {y.data(), x.extents()}, mask, quotient::reciprocal);
  std::vector<float> without_mask(y.size());
  fake_quantize<Level>(x, p, {without_mask.data(), x.extents()}, quotient::reciprocal);
  if (std::memcmp(y.data(), without_mask.data(), y.size() * sizeof(float)) != 0) {
    raise(errc::invalid_state, "results with and without mask differ", "torch_parity");
  }
}

void run(const header& h) {
  const shape extents{h.rows, h.columns};
  const auto n = static_cast<std::size_t>(extents.size());
  const auto units = static_cast<std::size_t>(h.axis < 0 ? 1 : extents[h.axis]);
  qparams p;
  p.dtype = type_of(h);
  p.quant_min = static_cast<float>(h.quant_min);
  p.quant_max = static_cast<float>(h.quant_max);
  p.granularity = h.axis < 0 ? granularity::per_tensor() : granularity::per_channel(h.axis);
  p.scale = read<float>(units);
  p.zero_point = read<std::int32_t>(units);
  qparams learnable = p;
  learnable.zero_point = read<std::int32_t>(units);
  const auto x = read<float>(n), smooth = read<float>(n), dy = read<float>(n);

  std::vector<float> y(n), alone(n), dx(n);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(extents.size()))),
      mask_alone(mask);
  fake_quantize_at<simd::native>({x.data(), extents}, p, y, mask);
  fake_quantize_at<simd::portable>({x.data(), extents}, p, alone, mask_alone);
  if (mask != mask_alone || std::memcmp(y.data(), alone.data(), n * sizeof(float)) != 0) {
    raise(errc::invalid_state, "results of vectors and of single elements differ", "torch_parity");
  }
  write(y);
  std::vector<std::uint8_t> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = bit_at(mask, static_cast<index_t>(i)) ? 1 : 0;
  write(bytes);
  straight_through({dy.data(), extents}, mask, {dx.data(), extents});
  write(dx);
  const qparam_gradients g =
      learnable_backward({smooth.data(), extents}, {dy.data(), extents}, learnable,
                         {dx.data(), extents}, 1.0, quotient::reciprocal);
  write(dx);
  write(g.scale);
  write(g.offset);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  try {
    while (std::cin.peek() != std::istream::traits_type::eof()) run(read<header>(1)[0]);
  } catch (const error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
