// CONCEPT: readable_tensor
// A tensor type without any adapter.
#include <lutra/palette/palettize.hpp>

struct unknown_blob {
  float data[4];
};
#if !defined(LUTRA_WRONG)
template <> struct lutra::tensor_traits<unknown_blob> {
  static tensor_view<const float> view(const unknown_blob& b) { return {b.data, shape{4}}; }
};
#endif
lutra::palette<float> compress(const unknown_blob& b) { return lutra::palettize(b, {}); }
