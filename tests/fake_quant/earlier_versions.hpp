// What fake_quantizer::save() of state versions 2, 3 and 4 wrote. 4 knew the number of units only, not their grid, 3
// did not say what disabled a fake-quantizer either, 2 had no flag of following a schedule.
#pragma once

#include <algorithm>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <vector>

namespace test {

inline std::vector<std::uint8_t> saved_as_version(int version, const lutra::fake_quantizer& fq) {
  std::vector<std::uint8_t> bytes = fq.save();
  bytes.resize(bytes.size() - 8);  // the checksum
  const auto shape_bytes = [](const std::uint8_t rank) { return 1 + 8 * std::ptrdiff_t{rank}; };
  lutra::state_writer w;
  fq.statistics().save(w);
  // Observers here begin with a negative version, three counts and a grid (not so "torch_histogram"), those of tests
  // with what has no sign.
  if (w.bytes()[7] >= 0x80) {
    const auto at =
        std::search(bytes.begin(), bytes.end(), w.bytes().begin(), w.bytes().end()) - bytes.begin();
    const auto first = bytes.begin() + at;
    const auto grid = first + 4 * 8;
    bytes.erase(grid, grid + 1 + (*grid == 0 ? 0 : shape_bytes(grid[1])));
    bytes.erase(bytes.begin() + at, bytes.begin() + at + 8);
  }
  lutra::state_writer units;
  fq.units().save_grid(units);
  bytes.resize(bytes.size() - units.bytes().size());
  if (version < 4) {
    const auto extents = [&] {
      return static_cast<std::uint8_t>(fq.disabled_by()->extents.rank());
    };
    const std::ptrdiff_t reason = 1 + (fq.disabled() ? 2 * 8 + shape_bytes(extents()) : 0);
    bytes.erase(bytes.end() - reason, bytes.end());
  }
  if (version < 3) bytes.pop_back();
  bytes[4] = static_cast<std::uint8_t>(version);
  const std::uint64_t hash = lutra::checksum_of(bytes);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(hash >> (8 * i)));
  return bytes;
}

}  // namespace test
