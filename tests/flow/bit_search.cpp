#include <lutra/flow/bit_search.hpp>

#include "errors.hpp"
#include "tables.hpp"

using namespace lutra;

TEST_CASE("bit_search: finds what trying every choice finds, at every target") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const layer_table table = test::random_table(seed, 1 + static_cast<int>(seed % 5), 5);
    CAPTURE(seed);
    std::int64_t most = 0;
    for (const layer_choices& row : table) {
      std::int64_t largest = 0;
      for (const layer_choice& c : row.choices) largest = std::max(largest, c.bytes);
      most += largest;
    }
    for (std::int64_t target = size_curve(table).least_bytes(); target <= most + 1; ++target) {
      const table_cost best = test::best_by_trying(table, target);
      const bit_allocation found = allocate_bits(table, target);
      CAPTURE(target);
      CHECK(found.error == best.error);
      CHECK(found.bytes == best.bytes);
      CHECK(found.bytes <= target);
      CHECK(found.proven);
      CHECK(found.gap() == 0);
      CHECK(found.lower_bound == found.error);
      CHECK(cost_of(table, found.choice).bytes == found.bytes);
      CHECK(cost_of(table, found.choice).error == found.error);
    }
  }
}

TEST_CASE("bit_search: the bound holds however few partial choices are kept, and more only help") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const layer_table table = test::random_table(100 + seed, 6, 4);
    const size_curve curve(table);
    const std::int64_t target = (curve.least_bytes() + curve.corners().back().bytes) / 2;
    const double optimum = test::best_by_trying(table, target).error;
    CAPTURE(seed);
    bit_search search(table, target);
    CHECK(search.best().bytes <= target);
    CHECK(search.best().lower_bound <= optimum);
    CHECK(search.best().error >= optimum);
    CHECK_FALSE(search.best().proven);
    for (const index_t states : {1, 2, 8, 1000}) {
      const bit_allocation before = search.best();
      search.run({.max_states = states});
      CHECK(search.best().bytes <= target);
      CHECK(search.best().lower_bound <= optimum);
      CHECK(search.best().error >= optimum);
      CHECK(search.best().error <= before.error);
      CHECK(search.best().lower_bound >= before.lower_bound);
      if (search.best().proven) CHECK(search.best().error == optimum);
    }
    CHECK(search.best().proven);
  }
}

TEST_CASE("bit_search: a network of many layers is solved to proof") {
  for (const int rows : {20, 60}) {
    const layer_table table = test::network_table(static_cast<std::uint64_t>(rows), rows);
    for (const int bits : {2, 3, 4}) {
      const table_cost uniform = cost_of(table, uniform_choice(table, bits));
      const bit_allocation found = allocate_bits(table, uniform.bytes);
      const double bound = size_curve(table).lower_bound(uniform.bytes);
      CHECK(found.proven);
      CHECK(found.bytes <= uniform.bytes);
      CHECK(found.error < uniform.error);
      CHECK(found.error >= bound);
      CHECK(found.error <= bound * 1.01);  // small steps leave little to round off
    }
  }
}

TEST_CASE("bit_search: kept to few states it says how good the result is") {
  const layer_table table = test::network_table(7, 40);
  const std::int64_t target = cost_of(table, uniform_choice(table, 3)).bytes;
  const bit_allocation exact = allocate_bits(table, target);
  REQUIRE(exact.proven);
  bit_search search(table, target);
  search.run({.max_states = 3});
  CHECK_FALSE(search.best().proven);
  CHECK(search.best().gap() > 0);
  CHECK(search.best().error <= search.best().lower_bound * (1 + search.best().gap()) * (1 + 1e-12));
  CHECK(search.best().lower_bound <= exact.error);
  search.run();
  CHECK(search.best().proven);
  CHECK(search.best().error == exact.error);
  CHECK(search.best().choice == exact.choice);
}

TEST_CASE("bit_search: ties take fewer bytes, errors of zero are fine") {
  const layer_table table{test::row_of("a", {{4, 0}, {2, 0}, {1, 1}}), test::row_of("b", {{3, 0}})};
  const bit_allocation found = allocate_bits(table, 100);
  CHECK(found.choice == std::vector<index_t>{1, 0});
  CHECK(found.bytes == 5);
  CHECK(found.proven);
  CHECK(allocate_bits(table, 4).choice == std::vector<index_t>{2, 0});
}

TEST_CASE("bit_search: cancelled it keeps the best so far and can go on") {
  const layer_table table = test::network_table(3, 30);
  const std::int64_t target = cost_of(table, uniform_choice(table, 2)).bytes;
  bit_search search(table, target);
  const bit_allocation start = search.best();
  bit_search_options options;
  std::vector<index_t> seen;
  options.progress = [&](std::string_view stage, index_t done, index_t total) {
    CHECK(stage == "allocate bits");
    CHECK(total == 30);
    seen.push_back(done);
    return done < 20;
  };
  CHECK_ERROR(search.run(options), cancelled, "allocate bits", "20 of 30");
  CHECK(seen.size() == 21);
  CHECK(search.best().error <= start.error);
  CHECK(search.best().bytes <= target);
  CHECK_FALSE(search.best().proven);
  CHECK(search.run().proven);
  CHECK(search.best().choice == allocate_bits(table, target).choice);
}

TEST_CASE("bit_search: a saved search goes on where it was") {
  const layer_table table = test::network_table(5, 25);
  const std::int64_t target = cost_of(table, uniform_choice(table, 3)).bytes;
  bit_search first(table, target);
  first.run({.max_states = 2});
  bit_search second(table, target);
  second.load(first.save());
  CHECK(second.best().choice == first.best().choice);
  CHECK(second.best().lower_bound == first.best().lower_bound);
  CHECK(second.best().proven == first.best().proven);
  CHECK(second.save() == first.save());
  first.run();
  second.load(first.save());
  CHECK(second.best().proven);
  CHECK(second.best().error == first.best().error);
  bit_search third(table, target);
  const bit_allocation worse = third.best();
  first.load(third.save());  // knows less: nothing is lost
  CHECK(first.best().proven);
  CHECK(first.best().error <= worse.error);
}

TEST_CASE("bit_search: a saved search that claims a proof it does not have is refused") {
  const layer_table table = test::network_table(5, 25);
  const std::int64_t target = cost_of(table, uniform_choice(table, 3)).bytes;
  bit_search search(table, target);
  search.run({.max_states = 2});
  REQUIRE_FALSE(search.best().proven);
  std::vector<std::uint8_t> forged = search.save();
  forged.back() = 1;
  CHECK_ERROR(search.load(forged), corrupt_data, "not a proof");
  CHECK_FALSE(search.best().proven);
}

TEST_CASE("bit_search: saved searches of others or broken ones are refused") {
  const layer_table table = test::random_table(1, 4, 4);
  const std::int64_t target = size_curve(table).corners().back().bytes - 1;
  bit_search search(table, target);
  search.run();
  const std::vector<std::uint8_t> saved = search.save();
  bit_search other_target(table, target + 1);
  CHECK_ERROR(other_target.load(saved), incompatible, "another target", "bytes");
  layer_table other = table;
  other[0].choices[0].error += 1;
  bit_search other_table(other, target);
  CHECK_ERROR(other_table.load(saved), incompatible, "another table");
  for (std::size_t n = 0; n < saved.size(); ++n) {
    CHECK_THROWS_AS(search.load(std::span(saved).first(n)), error);
  }
  std::vector<std::uint8_t> changed = saved;
  changed[0] ^= 1;
  CHECK_ERROR(search.load(changed), corrupt_data, "not a saved bit_search");
  changed = saved;
  changed[4] ^= 2;
  CHECK_ERROR(search.load(changed), unsupported, "version");
  changed = saved;
  changed[saved.size() - 10 - 8] = 77;  // the last choice
  CHECK_ERROR(search.load(changed), corrupt_data, "not a choice");
  changed = saved;
  changed.back() = 2;
  CHECK_ERROR(search.load(changed), corrupt_data, "flag");
  changed = saved;
  changed[saved.size() - 2] ^= 0x80;  // sign of the bound
  CHECK_ERROR(search.load(changed), corrupt_data, "not a bound");
  CHECK(search.save() == saved);
}

TEST_CASE("bit_search: targets and tables without a solution") {
  const layer_table table{test::row_of("a", {{10, 4}, {20, 1}}),
                          test::row_of("b", {{5, 0.5}, {7, 0}})};
  CHECK_ERROR(bit_search(table, 14), invalid_argument, "below the least possible size", "14 bytes",
              ">= 15 bytes");
  CHECK_ERROR(allocate_bits(table, -1), invalid_argument, "-1 bytes");
  CHECK(allocate_bits(table, 15).choice == std::vector<index_t>{0, 0});
  CHECK_ERROR(allocate_bits({}, 14), invalid_argument, "no layers");
  layer_table bad = table;
  bad[1].choices[0].error = layer_choice::unmeasured;
  CHECK_ERROR(allocate_bits(bad, 100), non_finite, "'b', choice 0 (1 bits)");
  bit_search search(table, 20);
  CHECK_ERROR(search.run({.max_states = 0}), invalid_argument, "max_states", ">= 1");
}
