// CONCEPT: readable_graph
// role_of() returns an int instead of a value_role.
#if defined(LUTRA_WRONG)
#define WRONG_ROLE
#endif
#include <lutra/graph/plan.hpp>

#include "graph.hpp"

lutra::quantization_plan look_with_role(const tape& g) { return lutra::plan(g); }
