// CONCEPT: readable_graph
// op_type() returns a number instead of a name.
#if defined(LUTRA_WRONG)
#define WRONG_OP_TYPE
#endif
#include <lutra/graph/plan.hpp>

#include "graph.hpp"

lutra::quantization_plan look_with_op_type(const tape& g) { return lutra::plan(g); }
