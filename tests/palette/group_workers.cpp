#include <lutra/palette/group_workers.hpp>

#include <doctest/doctest.h>

namespace {

using lutra::group_load;
using lutra::index_t;

// That scratch_bytes() is what palettize takes, and that it keeps to the number of workers, is measured in
// peak_heap.cpp.
TEST_CASE("group_workers: what they take together stays within the share of the weight") {
  for (const index_t bytes :
       {index_t{1} << 10, index_t{1} << 22, index_t{1} << 26, index_t{1} << 32}) {
    for (const int entries : {2, 16, 32, 256}) {
      for (const index_t elements : {0, 1, 1000, 131071, 131072, 1 << 24}) {
        for (const bool weighted : {false, true}) {
          const group_load load{.weight_bytes = bytes,
                                .element_bytes = elements % 2 == 0 ? 4 : 2,
                                .group_elements = elements,
                                .entries = entries,
                                .weighted = weighted};
          const index_t workers = lutra::group_workers(load);
          const index_t budget = (entries <= 16 ? 1 : 2) * std::max(bytes, index_t{1} << 22) / 2;
          REQUIRE(workers >= 1);
          CHECK((workers == 1 || workers * lutra::scratch_bytes(load) <= budget));
        }
      }
    }
  }
}

TEST_CASE("group_workers: larger groups and weights on elements take more") {
  group_load load{.group_elements = 1000};
  const index_t small = lutra::scratch_bytes(load);
  load.weighted = true;
  const index_t weighted = lutra::scratch_bytes(load);
  CHECK(weighted > small);
  load.group_elements = 100000;
  CHECK(lutra::scratch_bytes(load) > weighted);
}

}  // namespace
