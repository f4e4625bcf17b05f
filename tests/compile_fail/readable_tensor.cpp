// CONCEPT: readable_tensor
// A tensor adapter whose view() returns a pointer instead of a tensor_view.
#include <lutra/palette/palettize.hpp>

struct pointed_blob {
  float data[4];
};
template <> struct lutra::tensor_traits<pointed_blob> {
#if defined(LUTRA_WRONG)
  static const float* view(const pointed_blob& b) { return b.data; }
#else
  static tensor_view<const float> view(const pointed_blob& b) { return {b.data, shape{4}}; }
#endif
};
lutra::palette<float> compress(const pointed_blob& b) { return lutra::palettize(b, {}); }
