// One error, three ways out. With exceptions: prints what() and returns 0. Without: prints the same
// text and aborts, or, with the argument `handler`, goes to a handler of the user's.
#include <lutra/palette/palettize.hpp>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

namespace {
[[noreturn]] void own_handler(const lutra::error& e) {
  std::fprintf(stderr, "handler: %s\n", e.what());
  std::exit(3);
}
void provoke() {
  const std::vector<float> weight = {1.0F, std::numeric_limits<float>::quiet_NaN()};
  static_cast<void>(lutra::palettize(weight, {.n_bits = 2}, {.where = "fc.weight"}));
}
}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "handler") lutra::set_error_handler(&own_handler);
#if defined(__cpp_exceptions)
  try {
    provoke();
  } catch (const lutra::error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 0;
  }
#else
  provoke();
#endif
  return 1;  // no error: wrong
}
