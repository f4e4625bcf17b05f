#include <lutra/tensor/slices.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "errors.hpp"

namespace {

using lutra::block_grid;
using lutra::index_t;
using lutra::shape;

// Parameter of every element by the definition: floor(k / B) per axis, numbered row-major.
std::vector<index_t> by_definition(const shape& s, const shape& b) {
  std::vector<index_t> out;
  for (index_t flat = 0; flat < s.size(); ++flat) {
    index_t rest = flat;
    index_t parameter = 0;
    index_t step = 1;
    for (int axis = s.rank() - 1; axis >= 0; --axis) {
      parameter += rest % s[axis] / b[axis] * step;
      step *= (s[axis] + b[axis] - 1) / b[axis];
      rest /= s[axis];
    }
    out.push_back(parameter);
  }
  return out;
}

// Runs are in order, not empty, do not overlap and say the same as the definition.
void check_grid(const shape& s, const shape& b) {
  CAPTURE(lutra::text_of(s));
  CAPTURE(lutra::text_of(b));
  const block_grid grid(s, b);
  std::vector<index_t> parameters;
  bool ordered = true;
  grid.for_each_run([&](index_t first, index_t length, index_t parameter) {
    ordered = ordered && first == static_cast<index_t>(parameters.size()) && length > 0 &&
              parameter >= 0 && parameter < grid.count();
    parameters.insert(parameters.end(), static_cast<std::size_t>(length), parameter);
  });
  CHECK(ordered);
  const auto expected = by_definition(s, b);
  CHECK(parameters == expected);
  for (index_t parameter = 0; parameter < grid.count(); ++parameter) {
    index_t next = 0;
    index_t count = 0;
    bool right = true;
    grid.for_each_run_of(parameter, [&](index_t first, index_t length) {
      right = right && first >= next && length > 0;
      next = first + length;
      count += length;
      for (index_t i = first; i < next && i < s.size(); ++i) {
        right = right && expected[static_cast<std::size_t>(i)] == parameter;
      }
    });
    CHECK(right);
    CHECK(count == std::count(expected.begin(), expected.end(), parameter));
  }
  std::vector<index_t> one_by_one(parameters.size(), -1);
  for (index_t p = 0; p < grid.count(); ++p) {
    index_t end = 0;
    grid.for_each_run_of(p, [&](index_t first, index_t length) {
      ordered = ordered && first >= end && length > 0;
      end = first + length;
      std::fill(one_by_one.begin() + first, one_by_one.begin() + end, p);
    });
  }
  CHECK(ordered);
  CHECK(one_by_one == parameters);
}

TEST_CASE("slices: every shape up to 4x3x5 with every block agrees with the definition") {
  for (index_t i = 1; i <= 4; ++i) {
    for (index_t j = 1; j <= 3; ++j) {
      for (index_t k = 1; k <= 5; ++k) {
        for (index_t a = 1; a <= i; ++a) {
          for (index_t b = 1; b <= j; ++b) {
            for (index_t c = 1; c <= k; ++c) check_grid({i, j, k}, {a, b, c});
          }
        }
      }
    }
  }
}

TEST_CASE("slices: scalars, empty tensors and blocks larger than the tensor") {
  check_grid({}, {});
  check_grid({0}, {1});
  check_grid({3, 0, 2}, {1, 1, 1});
  check_grid({3, 2}, {10, 10});
  check_grid({3, 2}, {1, 10});
  CHECK(block_grid({3, 0}, {1, 1}).count() == 0);
  const block_grid some = block_grid({3, 0}, {1, 1}).at_least_one();
  CHECK(some.grid() == shape{3, 1});
  CHECK(block_grid({3, 4}, {2, 3}).at_least_one().grid() == shape{2, 2});
  some.for_each_run_of(2, [](index_t, index_t) { FAIL("there is no element"); });
  some.for_each_run([](index_t, index_t, index_t) { FAIL("there is no element"); });
}

TEST_CASE("slices: the grid has ceil(extent / block) parameters per axis") {
  const block_grid grid({10, 7, 4}, {4, 1, 9});
  CHECK(grid.grid() == shape{3, 7, 1});
  CHECK(grid.count() == 21);
  CHECK(grid.extents() == shape{10, 7, 4});
  CHECK(grid.block() == shape{4, 1, 9});
}

TEST_CASE("slices: runs are as long as the blocks allow") {
  int runs = 0;
  block_grid({8, 3, 5}, {2, 3, 5}).for_each_run([&](index_t, index_t length, index_t) {
    CHECK(length == 30);
    ++runs;
  });
  CHECK(runs == 4);
}

TEST_CASE("slices: a row is what lies along the innermost axis that is cut") {
  const block_grid grid({4, 6, 5}, {2, 4, 5});
  CHECK(grid.row_length() == 30);
  CHECK(grid.run_length() == 20);
  std::vector<index_t> seen;
  grid.for_each_row([&](index_t first, index_t parameter) {
    seen.push_back(first);
    seen.push_back(parameter);
  });
  CHECK(seen == std::vector<index_t>{0, 0, 30, 0, 60, 2, 90, 2});
  CHECK(block_grid({4, 6}, {9, 9}).run_length() == 24);
  CHECK(block_grid({}, {}).run_length() == 1);
}

TEST_CASE("slices: rank and block extents are checked") {
  CHECK_ERROR(block_grid({2, 3}, {1}), shape_mismatch, "block rank", "[1]", "rank 2");
  CHECK_ERROR(block_grid({2, 3}, {1, 0}), invalid_argument, "block extent", "[1, 0]", ">= 1");
}

}  // namespace
