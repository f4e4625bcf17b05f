// lutra: depth_walk.hpp - the order in which a kernel goes through the depth of a panel.
// SPDX-License-Identifier: Apache-2.0
//
// Front to back, or in several places in turn: a core that reads memory in four places at once has more lines on their
// way than one that reads in a single place. (On an Intel server core, 16384 x 16384 codes of 4 bits: one vector 9.2 ms
// front to back and 6.9 so, two 13.3 and 6.2, four 9.6 and 6.1; eight by tiles 8.7 and 6.5. Not from a cache: AVX2 is
// then a sixth slower.)
#pragma once

#include <lutra/core/types.hpp>

namespace lutra::inline LUTRA_ABI {

// Walks over `count` units: `places` equal parts in turn, a run of units of each at a time, then what they leave over.
// Every unit comes once, the last one at the end. One place: front to back in one run.
class depth_walk {
 public:
  static constexpr index_t places_of_memory = 4;

  explicit constexpr depth_walk(index_t count, index_t places = 1,
                                index_t run_of_place = 4) noexcept
      : run_of_place_(run_of_place),
        left_(count),
        part_(places > 1 ? count / (places * run_of_place) * run_of_place : 0),
        back_((places - 1) * part_),
        rest_(count - places * part_) {}

  // Units that come next, one behind the other; 0 at the end.
  constexpr index_t run() const noexcept { return left_ > rest_ ? run_of_place_ : left_; }
  // Behind a run of n units, or some of the last run: how many further the next one begins, negative if it lies before.
  constexpr index_t skip(index_t n) noexcept {
    left_ -= n;
    if (left_ <= rest_) return 0;
    ahead_ += part_;
    if (ahead_ <= back_) return part_ - n;
    ahead_ = 0;
    return -back_;
  }

 private:
  index_t run_of_place_, left_, part_, back_, rest_;
  index_t ahead_ = 0;  // from the first place to this one
};

}  // namespace lutra::inline LUTRA_ABI
