#include <doctest/doctest.h>

#include <lutra/runtime/gemm/depth_walk.hpp>
#include <vector>

using namespace lutra;

TEST_CASE("depth_walk: every unit once, in runs of each place in turn, the last one at the end") {
  for (index_t count = 0; count < 160; ++count) {
    for (const index_t places : {1, 2, 3, 4, 7}) {
      for (const index_t length : {1, 4}) {
        std::vector<index_t> taken;
        depth_walk walk(count, places, length);
        index_t at = 0;
        for (index_t run = 0; (run = walk.run()) > 0; at += walk.skip(run)) {
          for (index_t i = 0; i < run; ++i) taken.push_back(at++);
        }
        REQUIRE(taken.size() == static_cast<std::size_t>(count));
        if (count > 0) CHECK(taken.back() == count - 1);
        // What run number n of a place is, places differ in first.
        const index_t part = places > 1 ? count / (places * length) * length : 0;
        for (index_t i = 0; i < count; ++i) {
          const index_t run = i / length, place = run % places;
          const bool in_places = i < places * part;
          CHECK(taken[static_cast<std::size_t>(i)] ==
                (in_places ? place * part + run / places * length + i % length : i));
        }
        if (length > 1) continue;
        depth_walk one_by_one(count, places, 1);
        at = 0;
        for (const index_t expected : taken) {
          CHECK(at == expected);
          at += 1 + one_by_one.skip(1);
        }
      }
    }
  }
}
