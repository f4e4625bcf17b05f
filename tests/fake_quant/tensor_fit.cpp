#include <lutra/fake_quant/tensor_fit.hpp>

#include "../errors.hpp"

using namespace lutra;

namespace {
const quantization_spec blocks{.granularity = granularity::per_block(32, 1)};
}

TEST_CASE("tensor_fit: what is taken, passed on, refused") {
  tensor_fit fit;
  const seen_units none;
  CHECK_FALSE(fit.take(blocks, {0, 33}, none).has_value());  // nothing to do, whatever the blocks
  CHECK_FALSE(fit.mismatch().has_value());
  CHECK_ERROR(fit.take(blocks, {32}, none), invalid_argument, "axis out of bounds");
  CHECK_ERROR(fit.take({.granularity = granularity::per_block({2, 2})}, {4}, none), shape_mismatch,
              "one block size per axis");
  CHECK_ERROR(fit.take({.granularity = granularity::per_channel()}, {4}, none), invalid_argument,
              "unresolved");
  const auto units = fit.take(blocks, {4, 64}, none);
  REQUIRE(units.has_value());
  CHECK(units->grid() == shape{4, 2});
  CHECK(fit.take(blocks, {8, 32}, none).has_value());
  const seen_units seen = seen_units::of(*units);
  CHECK_ERROR(fit.take(blocks, {8, 32}, seen), shape_mismatch, "lie elsewhere", "[8, 1]", "[4, 2]");
  CHECK_FALSE(fit.mismatch().has_value());
  CHECK(fit.take(blocks, {4, 64}, seen).has_value());
  CHECK_FALSE(fit.take(blocks, {4, 60}, seen).has_value());
  CHECK(fit.mismatch() == block_mismatch{1, 32, shape{4, 60}});
  CHECK(fit.reason(blocks.granularity) ==
        "block size 32 does not divide extent 60 of axis 1 (shape [4, 60], per_block, block_size "
        "32, axis 1)");
  CHECK_FALSE(fit.take(blocks, {4, 64}, seen).has_value());  // for good
}

TEST_CASE("tensor_fit: short groups disable nothing") {
  quantization_spec spec = blocks;
  spec.short_groups = short_groups::allow;
  tensor_fit fit;
  const auto units = fit.take(spec, {4, 60}, {});
  REQUIRE(units.has_value());
  CHECK(fit.take(spec, {4, 64}, seen_units::of(*units)).has_value());
  CHECK_ERROR(fit.take(spec, {8, 30}, seen_units::of(*units)), shape_mismatch, "lie elsewhere");
}

TEST_CASE("tensor_fit: two are added, disabled if either was") {
  tensor_fit disabled, fit;
  CHECK_FALSE(disabled.take(blocks, {4, 60}, {}).has_value());
  fit.add({});
  CHECK_FALSE(fit.mismatch().has_value());
  fit.add(disabled);
  CHECK(fit.mismatch() == disabled.mismatch());
  fit.add({});
  CHECK(fit.mismatch() == disabled.mismatch());
}

TEST_CASE("tensor_fit: a saved reason comes back, one that is none is corrupt") {
  const auto load = [](const state_writer& w) {
    state_reader r(w.bytes(), "test");
    tensor_fit fit;
    fit.load_mismatch(r);
    r.expect_end();
    return fit;
  };
  tensor_fit fit;
  state_writer nothing;
  fit.save_mismatch(nothing);
  CHECK_FALSE(load(nothing).mismatch().has_value());
  CHECK_FALSE(fit.take(blocks, {4, 60}, {}).has_value());
  state_writer reason;
  fit.save_mismatch(reason);
  CHECK(load(reason).mismatch() == fit.mismatch());
  const auto saved = [](std::int64_t axis, std::int64_t block, const shape& extents) {
    state_writer w;
    w.u8(1);
    w.i64(axis);
    w.i64(block);
    w.extents(extents);
    return w;
  };
  CHECK(load(saved(1, 32, {4, 60})).mismatch() == fit.mismatch());
  CHECK_ERROR(load(saved(2, 32, {4, 60})), corrupt_data, "reason");
  CHECK_ERROR(load(saved(-1, 32, {4, 60})), corrupt_data, "reason");
  CHECK_ERROR(load(saved(1, 0, {4, 60})), corrupt_data, "reason");
  CHECK_ERROR(load(saved(1, 30, {4, 60})), corrupt_data, "reason");
}
