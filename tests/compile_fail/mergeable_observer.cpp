// CONCEPT: mergeable_observer
// A moving average depends on the order, so it cannot be merged.
#include <lutra/observe/global_min_max.hpp>
#include <lutra/observe/moving_average.hpp>

template <lutra::mergeable_observer O> void all_reduce(O& mine, const O& theirs) {
  mine.merge(theirs);
}
#if defined(LUTRA_WRONG)
using range = lutra::moving_average;
#else
using range = lutra::global_min_max;
#endif
void combine(range& a, const range& b) { all_reduce(a, b); }
