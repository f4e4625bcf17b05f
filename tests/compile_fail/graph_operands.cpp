// CONCEPT: readable_graph
// A graph adapter without operands().
#if defined(LUTRA_WRONG)
#define LEFT_OUT_OPERANDS
#endif
#include <lutra/graph/plan.hpp>

#include "graph.hpp"

lutra::quantization_plan look_with_operands(const tape& g) { return lutra::plan(g); }
