// Whether exhaustive loops take samples: set under emulators and sanitizers.
#pragma once

#include <cstdlib>

namespace test {

inline bool quick() { return std::getenv("LUTRA_TEST_QUICK") != nullptr; }

}  // namespace test
