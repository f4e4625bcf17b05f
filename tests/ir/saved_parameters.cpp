#include <lutra/ir/saved_parameters.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

using namespace lutra;

namespace {

std::vector<std::uint8_t> bytes_of(const granularity& g) {
  state_writer w;
  ir::saved_format::write(w, g);
  return w.take();
}
granularity granularity_from(std::span<const std::uint8_t> bytes) {
  state_reader r(bytes, "test");
  const granularity g = ir::saved_format::read_granularity(r);
  r.expect_end();
  return g;
}
std::vector<std::uint8_t> bytes_of(const qparams& q) {
  state_writer w;
  ir::saved_format::write(w, q);
  return w.take();
}
qparams qparams_from(std::span<const std::uint8_t> bytes) {
  state_reader r(bytes, "test");
  const qparams q = ir::saved_format::read_qparams(r, "test");
  r.expect_end();
  return q;
}

}  // namespace

TEST_CASE("saved_parameters: granularities of every kind come back, everything else is refused") {
  const granularity all[] = {
      granularity::per_tensor(),           granularity::per_channel(),
      granularity::per_channel(0),         granularity::per_channel(-1),
      granularity::per_block(32),          granularity::per_block(32, 1),
      granularity::per_block({1, -1, 4}),  granularity::per_block(std::span<const index_t>{}),
      granularity::per_grouped_channel(8), granularity::per_grouped_channel(8, 2)};
  for (const granularity& g : all) {
    CAPTURE(text_of(g));
    const auto bytes = bytes_of(g);
    CHECK(granularity_from(bytes) == g);
    // What another byte makes of it is an error, or something that is written like that.
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int x = 1; x < 256; ++x) {
        auto other = bytes;
        other[i] = static_cast<std::uint8_t>(other[i] ^ x);
        try {
          if (bytes_of(granularity_from(other)) != other) FAIL("another granularity was read");
        } catch (const error& e) {
          if (e.code() != errc::corrupt_data) FAIL(e.what());
        }
      }
    }
  }
}

TEST_CASE("saved_parameters: parameters of every kind come back bit for bit") {
  const qparams asymmetric{.dtype = dtype::uint4,
                           .quant_min = 0,
                           .quant_max = 15,
                           .granularity = granularity::per_block(2, 1),
                           .scale = {0.1F, 0x1p-149F, 3e38F},
                           .zero_point = {0, 15, 7},
                           .minval = {-1.0F, -0.0F, 2.0F}};
  qparams minval = asymmetric;
  minval.qformulation = qformulation::minval;
  const qparams float8{.dtype = dtype::float8_e4m3fn,
                       .quant_min = -448,
                       .quant_max = 448,
                       .scale = {0.25F},
                       .zero_point = {},
                       .minval = {}};
  const qparams int8{.scale = {0.5F}, .zero_point = {-128}, .minval = {}};
  for (const qparams& q : {asymmetric, minval, float8, int8}) {
    const auto bytes = bytes_of(q);
    CHECK(qparams_from(bytes) == q);
    CHECK(bytes_of(qparams_from(bytes)) == bytes);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      CHECK_ERROR(qparams_from(std::span(bytes).first(n)), corrupt_data, "test");
    }
  }
  state_writer alias;  // which parse_dtype() knows, but nobody writes
  alias.text("float8_e4m3");
  CHECK_ERROR(qparams_from(alias.take()), corrupt_data, "not a dtype", "'float8_e4m3'", "byte 19");
  qparams negative = int8;
  negative.scale = {-0.5F};
  CHECK_ERROR(qparams_from(bytes_of(negative)), invalid_argument, "scale out of range", "-0.5");
}
