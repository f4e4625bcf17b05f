#include <lutra/flow/layer_table.hpp>

#include "errors.hpp"
#include "tables.hpp"

using namespace lutra;

TEST_CASE("layer_table: cost adds up one choice per row") {
  const layer_table table{test::row_of("a", {{10, 4.0}, {20, 1.0}}),
                          test::row_of("b", {{5, 0.5}, {7, 0.25}})};
  const std::vector<index_t> choice{1, 0};
  CHECK(cost_of(table, choice).bytes == 25);
  CHECK(cost_of(table, choice).error == 1.5);
  CHECK(uniform_choice(table, 2) == std::vector<index_t>{1, 1});
  CHECK_ERROR(uniform_choice(table, 3), invalid_argument, "'a'", "3 bits");
  CHECK_ERROR(cost_of(table, std::vector<index_t>{0}), invalid_argument, "1 choices", "2");
  CHECK_ERROR(cost_of(table, std::vector<index_t>{0, 2}), invalid_argument, "'b'", "got 2");
  CHECK_ERROR(cost_of(table, std::vector<index_t>{-1, 0}), invalid_argument, "'a'", "got -1");
}

TEST_CASE("layer_table: tables that no search can use are refused by name") {
  const layer_table good{test::row_of("a", {{10, 4.0}, {20, 0.0}}), test::row_of("b", {{5, 0.5}})};
  check(good, "here");
  CHECK_ERROR(check(layer_table(), "here"), invalid_argument, "no layers", "here");
  layer_table bad = good;
  bad[1].choices.clear();
  CHECK_ERROR(check(bad, "here"), invalid_argument, "no choices", "'b'");
  bad = good;
  bad[1].name = "a";
  CHECK_ERROR(check(bad, "here"), invalid_argument, "two layers have one name", "'a'");
  bad = good;
  bad[0].choices[1].error = layer_choice::unmeasured;
  CHECK_FALSE(bad[0].choices[1].measured());
  CHECK_ERROR(check(bad, "here"), non_finite, "not measured", "'a', choice 1 (2 bits)");
  bad[0].choices[1].error = std::numeric_limits<double>::infinity();
  CHECK_ERROR(check(bad, "here"), non_finite, "infinite", "'a', choice 1 (2 bits)");
  bad[0].choices[1].error = -0.5;
  CHECK_ERROR(check(bad, "here"), invalid_argument, "negative", "-0.5");
  bad = good;
  bad[0].choices[0].bytes = -1;
  CHECK_ERROR(check(bad, "here"), invalid_argument, "size is negative", "choice 0", "-1");
  bad[0].choices[0].bytes = largest_count - 5;  // all that is left beside b
  CHECK_NOTHROW(check(bad, "here"));
  bad[0].choices[1].bytes = largest_count - 4;
  CHECK_ERROR(check(bad, "here"), size_overflow, "sizes do not add up", "'b', choice 0", "5");
  bad = good;
  bad[0].choices[0].error = bad[1].choices[0].error = 0.5 * std::numeric_limits<double>::max();
  CHECK_NOTHROW(check(bad, "here"));
  bad[1].choices[0].error *= 1.5;
  CHECK_ERROR(check(bad, "here"), non_finite, "errors do not add up", "'b', choice 0");
}

TEST_CASE("layer_table: measurements survive saving, other tables refuse them") {
  layer_table table{test::row_of("a", {{10, 4.0}, {20, 0.1}}),
                    test::row_of("b", {{5, layer_choice::unmeasured}})};
  const std::vector<std::uint8_t> saved = save_measurements(table);
  layer_table fresh = table;
  for (layer_choice& c : fresh[0].choices) c = {c.spec, 0, layer_choice::unmeasured};
  restore_measurements(fresh, saved);
  CHECK(fresh[0].choices[0].bytes == 10);
  CHECK(fresh[0].choices[1].error == 0.1);
  CHECK_FALSE(fresh[1].choices[0].measured());
  CHECK(save_measurements(fresh) == saved);

  const auto refused = [&](layer_table other, std::string_view what) {
    const std::vector<std::uint8_t> before = save_measurements(other);
    CHECK_ERROR(restore_measurements(other, saved), incompatible, what);
    CHECK(save_measurements(other) == before);
  };
  layer_table other = table;
  other.pop_back();
  refused(other, "another number of layers");
  other = table;
  other[1].name = "c";
  refused(other, "'c'");
  other = table;
  other[1].elements = 99;
  refused(other, "another number of elements");
  other = table;
  other[0].choices.pop_back();
  refused(other, "another number of choices");
  other = table;
  other[0].choices[0].spec.n_bits = 7;
  refused(other, "another way to palettize");
  other = table;
  other[0].choices[0].spec.granularity = granularity::per_grouped_channel(1, 0);
  refused(other, "another way to palettize");
  other = table;
  other[0].choices[0].spec.lut_qspec = int8_symmetric;
  refused(other, "another way to palettize");
  other = table;
  other[1].choices[0].spec.outliers.count = 3;
  refused(other, "another way to palettize");
}

TEST_CASE("layer_table: measurements cut short or changed are corrupt") {
  layer_table table{test::row_of("a", {{10, 4.0}, {20, 0.1}})};
  const std::vector<std::uint8_t> saved = save_measurements(table);
  for (std::size_t n = 0; n < saved.size(); ++n) {
    CHECK_THROWS_AS(restore_measurements(table, std::span(saved).first(n)), error);
  }
  std::vector<std::uint8_t> longer = saved;
  longer.push_back(0);
  CHECK_ERROR(restore_measurements(table, longer), corrupt_data, "left over");
  std::vector<std::uint8_t> changed = saved;
  changed[0] ^= 1;
  CHECK_ERROR(restore_measurements(table, changed), corrupt_data, "not measurements");
  changed = saved;
  changed[4] = 9;
  CHECK_ERROR(restore_measurements(table, changed), unsupported, "version", "got 9");
  changed = saved;
  changed.back() ^= 0x80;  // sign of the last error
  CHECK_ERROR(restore_measurements(table, changed), corrupt_data, "not an error", "-0.1");
  CHECK(save_measurements(table) == saved);
}
