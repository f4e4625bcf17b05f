// CONCEPT: writable_tensor
// A tensor adapter without the overload for writing.
#include <lutra/tensor/traits.hpp>

struct blob {
  float data[4];
};
template <> struct lutra::tensor_traits<blob> {
  static tensor_view<const float> view(const blob& b) { return {b.data, shape{4}}; }
#if !defined(LUTRA_WRONG)
  static tensor_view<float> view(blob& b) { return {b.data, shape{4}}; }
#endif
};
static_assert(lutra::writable_tensor<blob>);
