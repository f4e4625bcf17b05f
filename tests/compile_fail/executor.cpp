// CONCEPT: executor
// An executor whose bulk() takes no count.
#include <lutra/palette/palettize.hpp>

struct pool {
#if defined(LUTRA_WRONG)
  template <class F> void bulk(F f) const { f(0); }
#else
  template <class F> void bulk(lutra::index_t n, F f) const {
    for (lutra::index_t i = 0; i < n; ++i) f(i);
  }
#endif
};
lutra::palette<float> compress(const std::vector<float>& w) {
  return lutra::palettize(w, {}, {}, pool{});
}
