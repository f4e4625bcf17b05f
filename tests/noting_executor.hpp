// An executor of the calling thread that notes into how many pieces work is cut at most.
#pragma once

#include <lutra/core/types.hpp>

#include <algorithm>

namespace test {

struct noting_executor {
  bool serial;
  lutra::index_t* most;

  bool is_serial() const { return serial; }
  template <class F> void bulk(lutra::index_t n, F&& f) const {
    *most = std::max(*most, n);
    for (lutra::index_t i = 0; i < n; ++i) f(i);
  }
};

// Pieces of the work that f(executor) gives out.
template <class F> lutra::index_t most_pieces(bool serial, F&& f) {
  lutra::index_t most = 0;
  f(noting_executor{serial, &most});
  return most;
}

}  // namespace test
