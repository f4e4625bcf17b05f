#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/options.hpp>

#include <doctest/doctest.h>

namespace {

static_assert(std::same_as<lutra::stored_element<float>, float>);
static_assert(std::same_as<lutra::stored_element<double>, double>);
static_assert(std::same_as<lutra::stored_element<lutra::half>, lutra::half>);
static_assert(std::same_as<lutra::stored_element<lutra::bfloat16>, lutra::bfloat16>);
static_assert(!lutra::weight_element<short>);

struct foreign {
  explicit operator float() const { return 1.0F; }
};
static_assert(std::same_as<lutra::stored_element<foreign>, float>);

TEST_CASE("options: the usual gap depends on the number of entries") {
  lutra::palettize_options o;
  CHECK(o.gap_for(16) == 1e-4);
  CHECK(o.gap_for(32) == 1e-2);
  o.max_gap = 0.5;
  CHECK(o.gap_for(16) == 0.5);
  o.mode = lutra::palettize_mode::exact;
  CHECK(o.gap_for(16) == 1e-9);
}

}  // namespace
