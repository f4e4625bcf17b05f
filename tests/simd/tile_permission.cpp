#include <lutra/simd/tile_permission.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <lutra/simd/cpu.hpp>

using namespace lutra;

TEST_CASE("tile_permission: what was granted once stays so, and errno is the caller's") {
  errno = EDOM;
  const bool granted = simd::tiles_permitted();
  CHECK(errno == EDOM);
  CHECK(simd::tiles_permitted() == granted);
  CHECK(simd::ask_for_tiles() == granted);
  CHECK(errno == EDOM);
}

TEST_CASE("tile_permission: the CPU is said to have tiles only where they may be used") {
  CHECK(simd::read_cpu().permissions == 0);
  const simd::cpu_words here = simd::with_permissions(simd::read_cpu());
  const bool usable = simd::has_tile_registers(here) && simd::tiles_permitted();
  CHECK(simd::has_bits(here.permissions, 0) == usable);
}
