#include <lutra/simd/dispatch.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>

#include "errors.hpp"

using namespace lutra;

namespace {

using three = simd::level_list<simd::portable, simd::sse2, simd::avx2>;

simd::cpu_words old_cpu() { return {.leaf1_edx = 0x06000000}; }  // SSE2 and nothing more

// Sets the variable as long as it lives.
struct environment_level {
  explicit environment_level(const char* name) { setenv("LUTRA_LEVEL", name, 1); }
  environment_level(const environment_level&) = delete;
  environment_level& operator=(const environment_level&) = delete;
  ~environment_level() { unsetenv("LUTRA_LEVEL"); }
};

}  // namespace

TEST_CASE("dispatch: the last level of the list that the CPU runs") {
  CHECK(simd::choose_level(three{}, {}, old_cpu()) == "sse2");
  CHECK(simd::choose_level(three{}, {}, simd::cpu_words{}) == "portable");
  CHECK(simd::choose_level(simd::level_list<simd::portable, simd::native>{}) == simd::native::name);
}

TEST_CASE("dispatch: a level asked for by argument or environment; the argument wins") {
  CHECK(simd::choose_level(three{}, "portable", old_cpu()) == "portable");
  const environment_level set("portable");
  CHECK(simd::choose_level(three{}, {}, old_cpu()) == "portable");
  CHECK(simd::choose_level(three{}, "sse2", old_cpu()) == "sse2");
}

TEST_CASE("dispatch: a level that cannot be had is an error that names those that can") {
  CHECK_ERROR(simd::choose_level(three{}, "avx2", old_cpu()), unsupported, "cannot run", "avx2",
              "allowed: portable sse2");
  CHECK_ERROR(simd::choose_level(three{}, "avx512bw", old_cpu()), unsupported, "no such level",
              "avx512bw", "allowed: portable sse2");
  CHECK_ERROR(simd::choose_level(simd::level_list<simd::avx2>{}, {}, old_cpu()), unsupported,
              "cannot run", "every level compiled");
  const environment_level set("avx3");
  CHECK_ERROR(simd::choose_level(three{}, {}, old_cpu()), unsupported, "LUTRA_LEVEL", "avx3");
}

TEST_CASE("dispatch: calls go to the level of the name, results and references come back") {
  static std::vector<std::string> called;
  const auto f = [](auto level) -> std::string& { return called.emplace_back(level.name); };
  CHECK(simd::call_level(three{}, "sse2", f) == "sse2");
  CHECK(simd::call_level(three{}, "avx2", f) == "avx2");
  std::string& got = simd::dispatch(three{}, f, "portable");
  CHECK(&got == &called.back());
  CHECK(called == std::vector<std::string>{"sse2", "avx2", "portable"});
}

TEST_CASE("dispatch: the levels that run, in the order of the list") {
  std::string seen;
  const auto add = [&](auto level) { seen += std::string(level.name) + ' '; };
  simd::for_each_runnable(three{}, add, old_cpu());
  CHECK(seen == "portable sse2 ");
}
