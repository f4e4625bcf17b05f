// How much memory palettize takes beyond its input and the palette it returns.
#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "cluster/samples.hpp"
#include "quick.hpp"

namespace {

std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> peak{0};
constexpr std::size_t header = 16;  // keeps the alignment of malloc

void* counted_allocation(std::size_t size) {
  void* const block = std::malloc(size + header);
  if (block == nullptr) std::abort();
  *static_cast<std::size_t*>(block) = size;
  const std::size_t now = in_use.fetch_add(size) + size;
  for (std::size_t p = peak.load(); p < now && !peak.compare_exchange_weak(p, now);) {}
  return static_cast<char*>(block) + header;
}
void release(void* p) noexcept {
  if (p == nullptr) return;
  void* const block = static_cast<char*>(p) - header;
  in_use.fetch_sub(*static_cast<std::size_t*>(block));
  std::free(block);
}

}  // namespace

// All tests of this executable allocate through these. (Sanitizers bring operators of their own for every form.)
void* operator new(std::size_t size) { return counted_allocation(size); }
void* operator new[](std::size_t size) { return counted_allocation(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_allocation(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted_allocation(size);
}
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }

namespace {

using lutra::index_t;

struct four_threads {
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    std::vector<std::thread> threads;
    for (index_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (index_t i = t; i < n; i += 4) f(i);
      });
    }
    for (std::thread& t : threads) t.join();
  }
};

std::size_t bytes_of(const lutra::palette<float>& p) {
  const auto bytes = [](const auto& v) { return v.size() * sizeof(v[0]); };
  return bytes(p.lut) + bytes(p.codes) + bytes(p.lut_codes) + bytes(p.scale) + bytes(p.zero_point) +
         bytes(p.row_scale) + bytes(p.status) + bytes(p.inertia) + bytes(p.lower_bound) +
         bytes(p.rounding) + bytes(p.error) + bytes(p.used_entries) + bytes(p.collapsed_entries);
}

// Peak beyond input and palette, as a share of the weight's bytes.
template <class T, class Executor>
double peak_share(const lutra::tensor<T>& w, const lutra::palettization_spec& spec,
                  const Executor& executor,
                  lutra::palettize_mode mode = lutra::palettize_mode::certified,
                  lutra::tensor_view<const float> importance = {}) {
  lutra::palettize_options options;
  options.mode = mode;
  options.importance = importance;
  const std::size_t before = in_use.load();
  peak.store(before);
  const auto p = lutra::palettize(w, spec, options, executor);
  const std::size_t most = peak.load() - before;
  REQUIRE(most >= bytes_of(p));
  return static_cast<double>(most - bytes_of(p)) /
         static_cast<double>(w.elements().size() * sizeof(T));
}

// For one thread, for four, and for four on the weight as bfloat16.
void check_shares(const lutra::tensor<float>& w, const lutra::palettization_spec& spec,
                  double limit) {
  const auto b = lutra::tensor<lutra::bfloat16>::copy_of(w);
  const double one = peak_share(w, spec, lutra::serial_executor{});
  const double four = peak_share(w, spec, four_threads{});
  const double narrow = peak_share(b, spec, four_threads{});
  CAPTURE(spec.n_bits);
  CAPTURE(text_of(spec.granularity));
  CAPTURE(one);
  CAPTURE(four);
  CAPTURE(narrow);
  CHECK(one <= limit);
  CHECK(four <= limit);
  CHECK(narrow <= limit);
}

using lutra::granularity;

// Emulators and sanitizers do not change how much is allocated; they leave the two long cases out.
TEST_CASE("peak_heap: half the weight up to four bits, one weight for eight, whatever the threads" *
          doctest::skip(test::quick())) {
  const lutra::tensor<float> w({2048, 2048}, samples::draw("normal", 2048 * 2048));
  for (const granularity& g : {granularity::per_tensor(), granularity::per_grouped_channel(1, 0),
                               granularity::per_grouped_channel(1, 1)}) {
    check_shares(w, {.lut_qspec = lutra::int8_symmetric, .granularity = g}, 0.5);
  }
  check_shares(w, {.n_bits = 8}, 1.0);
}

// Tables refined, counted groups of 128 rows by four threads, importance: 16 MiB each.
TEST_CASE("peak_heap: the same for twenty distributions and beside a far outlier" *
          doctest::skip(test::quick())) {
  const std::size_t size = std::size_t{1} << 22;
  std::vector<float> importance = samples::draw("lognormal", size, 5);
  std::vector<std::string> names = samples::names();
  names.push_back("outlier 1e38");
  for (const std::string& name : names) {
    const lutra::tensor<float> w({4096, 1024}, samples::draw(name, size));
    CAPTURE(name);
    for (const int bits : {4, 8}) {
      CAPTURE(bits);
      const double limit = bits == 4 ? 0.5 : 1.0;
      lutra::palettization_spec spec{.n_bits = bits};
      CHECK(peak_share(w, spec, lutra::serial_executor{}) <= limit);
      spec.granularity = granularity::per_grouped_channel(128, 0);
      CHECK(peak_share(w, spec, four_threads{}) <= limit);
      spec = {.n_bits = bits, .lut_qspec = lutra::int8_symmetric, .refine_lut = true};
      CHECK(peak_share(w, spec, four_threads{}) <= limit);
      CHECK(peak_share(w, {.n_bits = bits}, four_threads{}, lutra::palettize_mode::certified,
                       lutra::tensor_view<const float>(importance.data(), {4096, 1024})) <= limit);
    }
  }
}

// What a weight takes that is too small for its share: the floor.
TEST_CASE("peak_heap: weights of 1 MiB take at most 8 MiB, of twenty distributions" *
          doctest::skip(test::quick())) {
  for (const std::string& name : samples::names()) {
    const lutra::tensor<float> w({256, 1024}, samples::draw(name, std::size_t{1} << 18));
    CAPTURE(name);
    CHECK(peak_share(w, {}, four_threads{}) <= 5.5);
    CHECK(peak_share(w, {.n_bits = 8}, four_threads{}) <= 8.0);
  }
}

// Calls of bulk, and how many of them may run at the same time.
struct counting_executor {
  index_t* most;
  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    *most = std::max(*most, n);
    for (index_t i = 0; i < n; ++i) f(i);
  }
};

// What one worker takes, measured, times the workers that may run at a time: at most four threads. This does not
// depend on which of them happen to meet.
template <class T>
void check_workers(const lutra::tensor<T>& w, const lutra::palettization_spec& spec, double limit) {
  const auto grid = lutra::grid_of(spec.granularity, w.extents(), "test");
  const lutra::group_load load{.weight_bytes = w.size() * static_cast<index_t>(sizeof(T)),
                               .element_bytes = static_cast<index_t>(sizeof(T)),
                               .group_elements = grid.block().size(),
                               .entries = 1 << spec.n_bits,
                               .quantized = spec.lut_qspec.enabled};
  const index_t workers = lutra::group_workers(load);
  index_t most = 0;
  const double one = peak_share(w, spec, counting_executor{&most});
  const auto bytes = static_cast<double>(load.weight_bytes);
  CAPTURE(spec.n_bits);
  CAPTURE(text_of(spec.granularity));
  CAPTURE(w.size());
  CAPTURE(workers);
  CAPTURE(one);
  CHECK(most <= workers);
  CHECK(one * bytes <= static_cast<double>(lutra::scratch_bytes(load)));
  const auto at_a_time = static_cast<double>(std::min<index_t>({workers, 4, grid.count()}));
  CHECK((workers == 1 || at_a_time * one <= limit));
}

TEST_CASE("peak_heap: groups of all sizes, several of them at a time" *
          doctest::skip(test::quick())) {
  const auto size = std::size_t{1} << 20;
  const lutra::tensor<float> w({1024, 1024}, samples::draw("normal", size));
  const auto b = lutra::tensor<lutra::bfloat16>::copy_of(w);
  for (const index_t rows : {1, 8, 64, 128}) {
    for (const int axis : {0, 1}) {
      lutra::palettization_spec spec{.granularity = granularity::per_grouped_channel(rows, axis)};
      check_workers(w, spec, 0.5);
      check_workers(b, spec, 0.5);
      if (axis == 0) continue;
      spec.lut_qspec = lutra::int8_symmetric;
      spec.refine_lut = rows > 1;
      check_workers(w, spec, 0.5);
      spec.n_bits = 8;
      if (rows > 1) check_workers(w, spec, 1.0);
    }
  }
}

TEST_CASE("peak_heap: large groups of small weights are worked on one at a time") {
  lutra::group_load load{.weight_bytes = 37 << 20, .group_elements = (1 << 17) - 1};
  CHECK(lutra::group_workers(load) == 1);
  load.weight_bytes *= 2;
  CHECK(lutra::group_workers(load) == 3);
  load.group_elements = 1024;
  CHECK(lutra::group_workers(load) > 64);
  load.weight_bytes = 1024;  // small weights: as if they had 4 MiB
  CHECK(lutra::group_workers(load) >= 4);
}

TEST_CASE("peak_heap: four threads on groups as large as can be sorted, and counted ones") {
  const lutra::tensor<float> w({4096, 1024}, samples::draw("normal", 4096 * 1024));
  for (const index_t rows : {64, 128}) {
    const granularity g = granularity::per_grouped_channel(rows, 0);
    check_shares(w, {.lut_qspec = lutra::int8_symmetric, .granularity = g}, 0.5);
  }
}

TEST_CASE("peak_heap: mode exact takes one weight up to four bits, 56 for eight if it must sort") {
  const auto share = [](std::size_t rows, int bits) {
    const lutra::tensor<float> w({static_cast<index_t>(rows), 1024},
                                 samples::draw("normal", rows * 1024));
    return peak_share(w, {.n_bits = bits}, lutra::serial_executor{}, lutra::palettize_mode::exact);
  };
  CHECK(share(1024, 4) <= 1.25);
  CHECK(share(128, 8) <= 56.0);
  if (!test::quick()) CHECK(share(512, 8) <= 40.0);
}

// From 2^20 values on windows are read; four at a time keep four tables of counts.
TEST_CASE("peak_heap: mode exact of large groups takes twelve weights for eight bits" *
          doctest::skip(test::quick())) {
  for (const char* name : {"normal", "laplace", "student3", "outlier 1e6"}) {
    const lutra::tensor<float> w({2048, 2048}, samples::draw(name, 2048 * 2048));
    CAPTURE(name);
    CHECK(peak_share(w, {.n_bits = 8}, lutra::serial_executor{}, lutra::palettize_mode::exact) <=
          12.0);
    CHECK(peak_share(w, {.n_bits = 8}, four_threads{}, lutra::palettize_mode::exact) <= 12.0);
  }
}

}  // namespace
