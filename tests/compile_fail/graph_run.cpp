// CONCEPT: executable_graph
// Calibration inside the library needs run().
#if defined(LUTRA_WRONG)
#define LEFT_OUT_RUN
#endif
#include <lutra/flow/quantizer.hpp>

#include "graph.hpp"

void calibrate_with_run(tape& g) {
  lutra::quantizer<tape> q(g, {});
  q.prepare();
  q.run(1);
}
