// CONCEPT: writable_tensor
// A tensor adapter without the overload for writing.
#include <lutra/tensor/traits.hpp>

struct constant_blob {
  float data[4];
};
template <> struct lutra::tensor_traits<constant_blob> {
  static tensor_view<const float> view(const constant_blob& b) { return {b.data, shape{4}}; }
#if !defined(LUTRA_WRONG)
  static tensor_view<float> view(constant_blob& b) { return {b.data, shape{4}}; }
#endif
};
static_assert(lutra::writable_tensor<constant_blob>);
