#include <lutra/simd/cache.hpp>

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace lutra;

TEST_CASE("cache: the threshold is half of a believable cache, and can be overridden") {
  const index_t cache = simd::detect_last_level_cache();
  CHECK(cache >= index_t{1} << 16);
  CHECK(cache <= index_t{1} << 34);
  const index_t before = simd::stream_threshold();
  CHECK(before == cache / 2);
  simd::set_stream_threshold(1000);
  CHECK(simd::stream_threshold() == 1000);
  CHECK(simd::stores_for(1000) == simd::stores::cached);
  CHECK(simd::stores_for(1001) == simd::stores::streaming);
  simd::set_stream_threshold(before);
}

TEST_CASE("cache: a few cores do not have the cache of a whole machine") {
  constexpr index_t mib = index_t{1} << 20;
  CHECK(simd::believable_cache(480 * mib, 2) == 64 * mib);
  CHECK(simd::believable_cache(480 * mib, 60) == 480 * mib);
  CHECK(simd::believable_cache(32 * mib, 2) == 32 * mib);
  CHECK(simd::believable_cache(64 * mib, 1) == 32 * mib);
  CHECK(simd::believable_cache(8 * mib, -1) == 8 * mib);  // the system does not know how many
  const unsigned cpus = std::thread::hardware_concurrency();
  if (cpus > 0) CHECK(simd::detect_last_level_cache() <= index_t{cpus} * 32 * mib);
  CHECK(simd::detect_last_level_cache() <= simd::told_last_level_cache());
}

TEST_CASE("cache: a prefetch of what does not exist does no harm") {
  const int x = 7;
  simd::prefetch(&x, index_t{1} << 40);
  simd::prefetch(nullptr, 0);
  simd::read_ahead(&x, index_t{1} << 40);
  simd::read_ahead(nullptr);
  simd::prefetch_for_write(&x, index_t{1} << 40);
  simd::prefetch_for_write(nullptr, 0);
  CHECK(x == 7);
}

TEST_CASE("cache: pages are touched within the array only") {  // AddressSanitizer sees the rest
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{1023}, std::size_t{1024}, std::size_t{2049}}) {
    const std::vector<float> x(n, 2.0F);
    simd::touch_pages(x.data(), static_cast<index_t>(n));
    CHECK(x.back() == 2.0F);
  }
  simd::touch_pages(static_cast<const float*>(nullptr), 0);
}
