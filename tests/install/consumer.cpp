// A user's program. LUTRA_CONSUMER_ALL: with everything, through the umbrella header; one of the ways to build it
// is enough for that.
#if defined(LUTRA_CONSUMER_ALL)
#include <lutra/lutra.hpp>
#else
#include <lutra/core/version.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#endif

#include <cstdio>
#include <cstring>
#include <vector>

lutra::index_t packed_bytes_of(const std::vector<float>& weight);  // consumer_second.cpp

int main() {
  const std::vector<float> weight = {0.5F, -1.0F, 0.5F, 2.0F, -1.0F, 2.0F, 0.5F, 0.0F};
  const auto palette = lutra::palettize(weight, {.n_bits = 2});
  const auto restored = lutra::restore(lutra::pack(palette));
  const bool exact = restored.elements() == weight;  // four values, four entries
  std::printf("lutra %s: %s, %d bytes\n", LUTRA_VERSION_STRING, exact ? "exact" : "WRONG",
              static_cast<int>(packed_bytes_of(weight)));
#if defined(EXPECTED_VERSION)
  if (std::strcmp(EXPECTED_VERSION, LUTRA_VERSION_STRING) != 0) {
    std::printf("the package says version %s\n", EXPECTED_VERSION);
    return 1;
  }
#endif
  return exact && packed_bytes_of(weight) == 2 + 4 * 4 ? 0 : 1;
}
