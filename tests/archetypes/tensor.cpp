// The poorest tensors: no default construction, no copies, no address, and only what the concept asks for.
#include <doctest/doctest.h>
#include <array>
#include <lutra/affine/quantize.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <lutra/tensor/tensor.hpp>

namespace {

class poor_tensor {
 public:
  explicit poor_tensor(float first) {
    for (std::size_t i = 0; i < at_.size(); ++i) at_[i] = first + static_cast<float>(i);
  }
  poor_tensor(const poor_tensor&) = delete;
  poor_tensor& operator=(const poor_tensor&) = delete;
  void operator&() const = delete;

 private:
  friend struct lutra::tensor_traits<poor_tensor>;
  std::array<float, 6> at_;
};
struct poor_input {  // readable only
  poor_input() = delete;
  void operator&() const = delete;
};

}  // namespace

template <> struct lutra::tensor_traits<poor_tensor> {
  static tensor_view<const float> view(const poor_tensor& x) { return {x.at_.data(), shape{2, 3}}; }
  static tensor_view<float> view(poor_tensor& x) { return {x.at_.data(), shape{2, 3}}; }
};
static_assert(lutra::writable_tensor<poor_tensor>);
template <> struct lutra::tensor_traits<poor_input> {
  static tensor_view<const double> view(const poor_input&) { return {}; }
};
static_assert(lutra::readable_tensor<poor_input>);
static_assert(!lutra::writable_tensor<poor_input>);

TEST_CASE("archetypes: the poorest tensor is palettized, restored and quantized") {
  poor_tensor x(1.0F);
  const lutra::palette<float> p = lutra::palettize(x, {.n_bits = 1});
  CHECK(p.weight_shape == lutra::shape{2, 3});
  CHECK(p.lut == std::vector<float>{2.0F, 5.0F});
  poor_tensor y(0.0F);
  lutra::restore(lutra::pack(p), lutra::view(y));
  CHECK(lutra::view(y)(1, 2) == 5.0F);
  CHECK(lutra::tensor<float>::copy_of(y)[0] == 2.0F);
  const float lo[] = {0.0F}, hi[] = {6.0F};
  lutra::fake_quantize(lutra::view(std::as_const(x)),
                       lutra::qparams_from_range(lutra::int8_symmetric, lo, hi), lutra::view(x));
  CHECK(lutra::view(x)(0, 0) == doctest::Approx(1.0).epsilon(0.05));
}
