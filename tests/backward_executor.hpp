// An executor that runs shards last to first: results must not depend on their order.
#pragma once

#include <lutra/core/types.hpp>

namespace test {

struct backward_executor {
  template <class F> void bulk(lutra::index_t n, F&& f) const {
    while (n-- > 0) f(n);
  }
};

}  // namespace test
