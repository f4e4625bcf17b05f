#include <lutra/palette/group_elements.hpp>

#include <doctest/doctest.h>

#include <numeric>

namespace {

using lutra::index_t;

// Everything a group_elements says about one group, against the definition.
void check_group(const lutra::block_grid& grid, index_t group, const std::vector<index_t>& left_out,
                 lutra::group_elements<float>& elements) {
  std::vector<float> tensor(static_cast<std::size_t>(grid.extents().size()));
  std::iota(tensor.begin(), tensor.end(), 0.0F);
  std::vector<float> want;
  std::vector<index_t> excluded;
  grid.for_each_run([&](index_t first, index_t length, index_t g) {
    for (index_t i = first; g == group && i < first + length; ++i) {
      if (std::find(left_out.begin(), left_out.end(), i) == left_out.end()) {
        want.push_back(static_cast<float>(i));
      } else {
        excluded.push_back(i);
      }
    }
  });
  elements.gather(tensor, grid, group, left_out);
  CHECK(elements.size() == want.size());
  CHECK(std::equal(want.begin(), want.end(), elements.values().begin(), elements.values().end()));
  CHECK(std::equal(excluded.begin(), excluded.end(), elements.excluded().begin(),
                   elements.excluded().end()));
  elements.for_each([&](std::size_t i, std::size_t at) { CHECK(want[i] == tensor[at]); });
  std::vector<std::uint8_t> all(tensor.size(), 7);
  const auto codes = elements.codes(all);
  REQUIRE(codes.size() == want.size());
  std::iota(codes.begin(), codes.end(), std::uint8_t{100});
  elements.move_codes(all);
  std::uint8_t next = 100;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool mine = std::find(want.begin(), want.end(), tensor[i]) != want.end();
    CHECK(all[i] == (mine ? next++ : 7));
  }
}

TEST_CASE("group_elements: one run, several runs, short blocks") {
  lutra::group_elements<float> elements;  // reused
  for (const auto& block : {lutra::shape{2, 7}, lutra::shape{5, 3}, lutra::shape{2, 2}}) {
    const lutra::block_grid grid({5, 7}, block);
    for (index_t g = 0; g < grid.count(); ++g) check_group(grid, g, {}, elements);
  }
}

TEST_CASE("group_elements: elements left out split runs") {
  lutra::group_elements<float> elements;
  const lutra::block_grid rows({5, 7}, {1, 7});
  const lutra::block_grid columns({5, 7}, {5, 2});
  for (const std::vector<index_t>& out :
       {std::vector<index_t>{0, 1, 6, 10, 20, 34}, std::vector<index_t>{7, 8, 9, 10, 11, 12, 13}}) {
    for (index_t g = 0; g < rows.count(); ++g) check_group(rows, g, out, elements);
    for (index_t g = 0; g < columns.count(); ++g) check_group(columns, g, out, elements);
  }
}

}  // namespace
