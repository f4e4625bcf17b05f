// CONCEPT: editable_graph
// insert_fake_quant() does not return the new value.
#if defined(LUTRA_WRONG)
#define WRONG_INSERT
#endif
#include <lutra/flow/palettizer.hpp>

#include "graph.hpp"

void compress_with_insert(tape& g) { lutra::kmeans_palettizer<tape>(g, {}).prepare(); }
