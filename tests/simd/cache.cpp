#include <lutra/simd/cache.hpp>

#include <doctest/doctest.h>

using namespace lutra;

TEST_CASE("cache: the threshold is half of a believable cache, and can be overridden") {
  const index_t cache = simd::detect_last_level_cache();
  CHECK(cache >= index_t{1} << 16);
  CHECK(cache <= index_t{1} << 34);
  const index_t before = simd::stream_threshold();
  CHECK(before == simd::stream_threshold_of(cache));
  CHECK(simd::stream_threshold_of(index_t{32} << 20) == index_t{16} << 20);
  CHECK(simd::stream_threshold_of(index_t{480} << 20) == index_t{32} << 20);
  simd::set_stream_threshold(1000);
  CHECK(simd::stream_threshold() == 1000);
  CHECK(simd::stores_for(1000) == simd::stores::cached);
  CHECK(simd::stores_for(1001) == simd::stores::streaming);
  simd::set_stream_threshold(before);
}

TEST_CASE("cache: a prefetch of what does not exist does no harm") {
  const int x = 7;
  simd::prefetch(&x, index_t{1} << 40);
  simd::prefetch(nullptr, 0);
  CHECK(x == 7);
}
