// CONCEPT: readable_graph
// Node handles that cannot be compared or hashed.
#if defined(LUTRA_WRONG)
#define LEFT_OUT_HANDLES
#endif
#include <lutra/graph/plan.hpp>

#include "graph.hpp"

lutra::quantization_plan look_with_handles(const tape& g) { return lutra::plan(g); }
