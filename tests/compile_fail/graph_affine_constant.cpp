// CONCEPT: affine_constant_graph
// An optional member that is there but not as it has to be: not taken for none.
#if defined(LUTRA_WRONG)
#define WRONG_CODES
#endif
#include <lutra/flow/quantizer.hpp>

#include "graph.hpp"

void compress_with_affine_constant(tape& g) { lutra::quantizer<tape>(g).finalize(); }
