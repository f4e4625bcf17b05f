// CONCEPT: editable_graph
// A graph adapter without erase().
#if defined(LUTRA_WRONG)
#define LEFT_OUT_ERASE
#endif
#include <lutra/flow/quantizer.hpp>

#include "graph.hpp"

void compress_with_erase(tape& g) { lutra::quantizer<tape>(g, {}).prepare(); }
