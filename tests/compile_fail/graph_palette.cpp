// CONCEPT: editable_graph
// A graph adapter without emit_palette().
#if defined(LUTRA_WRONG)
#define LEFT_OUT_PALETTE
#endif
#include <lutra/flow/palettizer.hpp>

#include "graph.hpp"

void compress_with_palette(tape& g) { lutra::kmeans_palettizer<tape>(g, {}).prepare(); }
