#include <lutra/flow/sensitivity.hpp>

#include "errors.hpp"

using namespace lutra;

namespace {
weight_sensitivities two_weights() {
  weight_sensitivities s;
  s.set("fc1.weight", tensor<float>({2, 2}, {0.25F, 1.0F, 0.25F, 0.25F}));
  s.set("fc2.weight", tensor<float>({3}, {1.0F, 0.5F, 1e-12F}));
  return s;
}
}  // namespace

TEST_CASE(
    "sensitivity: sums of squares are divided by the largest, zeros get the least, 1e-12 is the "
    "floor") {
  using values = std::vector<float>;
  const auto of = [](std::vector<double> sums) { return normalised_sensitivity(sums); };
  CHECK(of({1, 4, 0, 0}) == values{0.25F, 1, 0.25F, 0.25F});  // the example of the reference
  CHECK(of({0, 0, 0}) == values{1, 1, 1});
  CHECK(of({0, 7, 0}) == values{1, 1, 1});
  CHECK(of({1e-20, 1, 0}) == values{1e-12F, 1, 1e-12F});
  CHECK(of({2e-12, 1}) == values{2e-12F, 1});
  CHECK(of({5e-300, 2.5e-300}) == values{1, 0.5F});
  CHECK(of({3}) == values{1});
  CHECK(of({}).empty());
}

TEST_CASE("sensitivity: values are found by name and shape") {
  const weight_sensitivities s = two_weights();
  CHECK(s.size() == 2);
  CHECK(s.find("fc1.weight").extents() == shape{2, 2});
  CHECK(s.find("fc1.weight")(0, 1) == 1.0F);
  CHECK(s.find("fc3.weight").data() == nullptr);
  CHECK_FALSE(s.empty());
  CHECK(weight_sensitivities().empty());
}

TEST_CASE("sensitivity: values that cannot be an importance are refused by name and position") {
  weight_sensitivities s = two_weights();
  const auto with = [](float x) { return tensor<float>({2}, {1.0F, x}); };
  CHECK_ERROR(s.set("w", with(0.0F)), invalid_argument, "'w'", "0 at position 1");
  CHECK_ERROR(s.set("w", with(-1.0F)), invalid_argument, "'w'", "-1 at position 1");
  CHECK_ERROR(s.set("w", with(std::numeric_limits<float>::quiet_NaN())), non_finite, "'w'");
  CHECK_ERROR(s.set("w", with(std::numeric_limits<float>::infinity())), non_finite, "inf");
  CHECK(s == two_weights());
}

TEST_CASE("sensitivity: saved and loaded it is the same") {
  const weight_sensitivities s = two_weights();
  const std::vector<std::uint8_t> saved = s.save();
  weight_sensitivities loaded;
  loaded.set("other", tensor<float>({1}, {1.0F}));
  loaded.load(saved);
  CHECK(loaded == s);
  CHECK(loaded.save() == saved);
  loaded.load(weight_sensitivities().save());
  CHECK(loaded.empty());
}

TEST_CASE("sensitivity: broken files change nothing") {
  weight_sensitivities s = two_weights();
  const std::vector<std::uint8_t> saved = s.save();
  for (std::size_t n = 0; n < saved.size(); ++n) {
    CHECK_THROWS_AS(s.load(std::span(saved).first(n)), error);
  }
  std::vector<std::uint8_t> longer = saved;
  longer.push_back(0);
  CHECK_ERROR(s.load(longer), corrupt_data, "left over");
  const auto changed = [&](std::size_t at, std::uint8_t to) {
    std::vector<std::uint8_t> bytes = saved;
    bytes[at] = to;
    return bytes;
  };
  CHECK_ERROR(s.load(changed(0, 0)), corrupt_data, "not saved sensitivities");
  CHECK_ERROR(s.load(changed(4, 2)), unsupported, "version", "got 2");
  CHECK_ERROR(s.load(changed(15, 255)), corrupt_data, "count exceeds the bytes left");
  const std::size_t rank = 16 + 8 + 10;  // behind the first name
  CHECK_ERROR(s.load(changed(rank, 200)), corrupt_data, "rank out of range", "200");
  CHECK_ERROR(s.load(changed(rank + 1, 3)), corrupt_data, "number of values");
  CHECK_ERROR(s.load(changed(rank + 8, 255)), corrupt_data, "extent");
  CHECK_ERROR(s.load(changed(saved.size() - 1, 0xFF)), corrupt_data, "not a sensitivity");
  CHECK(s == two_weights());
}
