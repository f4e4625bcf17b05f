// Blocks that do not divide their extent, where the spec allows a short last one.
#include <lutra/fake_quant/fake_quantizer.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

namespace {

using lutra::granularity;
using lutra::short_groups;
using view = lutra::tensor_view<const float>;

TEST_CASE("short_blocks: every block, the short ones too, gets the scale of its own elements") {
  std::vector<float> x(5 * 7);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.37F * static_cast<float>(i) - 5.0F;
  const lutra::shape extents{5, 7};
  for (const granularity& g : {granularity::per_block(3, 1), granularity::per_block({2, 4}),
                               granularity::per_block({-1, 3})}) {
    const lutra::quantization_spec spec{.granularity = g, .short_groups = short_groups::allow};
    lutra::fake_quantizer f(spec, lutra::target::weight);
    std::vector<float> y(x.size());
    f.forward(view(x.data(), extents), lutra::tensor_view<float>(y.data(), extents));
    REQUIRE_FALSE(f.disabled());
    const auto p = f.params();
    const auto units = lutra::grid_of(g, extents, "test", short_groups::allow);
    REQUIRE(static_cast<lutra::index_t>(p.scale.size()) == units.count());
    std::vector<float> largest(p.scale.size());
    units.for_each_run([&](lutra::index_t first, lutra::index_t n, lutra::index_t u) {
      for (lutra::index_t i = first; i < first + n; ++i) {
        auto& m = largest[static_cast<std::size_t>(u)];
        m = std::max(m, std::abs(x[static_cast<std::size_t>(i)]));
      }
    });
    for (std::size_t u = 0; u < largest.size(); ++u) CHECK(p.scale[u] == largest[u] / 127.5F);
    units.for_each_run([&](lutra::index_t first, lutra::index_t n, lutra::index_t u) {
      for (lutra::index_t i = first; i < first + n; ++i) {
        const auto k = static_cast<std::size_t>(i);
        CHECK(y[k] == lutra::fake_quantize_one(x[k], lutra::unit_of(p, u)));
      }
    });
    lutra::fake_quantizer loaded(spec, lutra::target::weight);
    loaded.load(f.save());
    CHECK(loaded.params() == p);
    lutra::fake_quantizer strict({.granularity = g}, lutra::target::weight);
    CHECK_ERROR(strict.load(f.save()), incompatible, "another spec");
    strict.forward(view(x.data(), extents), lutra::tensor_view<float>(y.data(), extents));
    CHECK(strict.disabled());
    CHECK(strict.disabled_reason().find("does not divide") != std::string::npos);
    CHECK(y == x);
  }
}

}  // namespace
