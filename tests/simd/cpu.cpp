#include <lutra/simd/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

using namespace lutra;

namespace {

// A CPU with everything, on a system that saves every register.
simd::cpu_words everything() {
  const std::uint32_t all = 0xffffffff;
  return {.leaf1_ecx = all,
          .leaf1_edx = all,
          .leaf7_ebx = all,
          .leaf7_ecx = all,
          .leaf7_edx = all,
          .leaf7_1_eax = all,
          .extended1_ecx = all,
          .xcr0 = ~std::uint64_t{0},
          .permissions = all,
          .hwcap = ~std::uint64_t{0},
          .hwcap2 = ~std::uint64_t{0}};
}

#if defined(__x86_64__) && defined(__linux__)
std::set<std::string> flags_of_the_system() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}
#endif

}  // namespace

TEST_CASE(
    "cpu: what was compiled for this CPU runs on it, and what extends nothing runs anywhere") {
  const simd::cpu_words here = simd::with_permissions(simd::read_cpu());
  const bool refused = std::is_same_v<simd::native, simd::amx_int8> && !simd::tiles_permitted();
  CHECK((refused || runs_on(here, simd::native{})));
  CHECK(runs_on(simd::cpu_words{}, simd::portable{}));
  CHECK(!runs_on(simd::cpu_words{}, simd::sse2{}));
  CHECK(!runs_on(simd::cpu_words{}, simd::neon64{}));
}

TEST_CASE("cpu: each level needs each of its bits, and the levels it extends") {
  const auto without = [](auto word, int bit, auto level) {
    simd::cpu_words c = everything();
    CHECK(runs_on(c, level));
    using bits = std::remove_reference_t<decltype(c.*word)>;
    c.*word &= static_cast<bits>(~(std::uint64_t{1} << bit));
    return !runs_on(c, level);
  };
  using simd::cpu_words;
  CHECK(without(&cpu_words::leaf1_edx, 26, simd::sse2{}));
  CHECK(without(&cpu_words::leaf1_ecx, 9, simd::sse4_1{}));    // SSSE3
  CHECK(without(&cpu_words::leaf1_ecx, 12, simd::avx2{}));     // FMA
  CHECK(without(&cpu_words::leaf7_ebx, 5, simd::avx2{}));      // AVX2
  CHECK(without(&cpu_words::extended1_ecx, 5, simd::avx2{}));  // LZCNT
  CHECK(without(&cpu_words::leaf1_edx, 26, simd::avx2{}));
  CHECK(without(&cpu_words::leaf7_1_eax, 4, simd::avxvnni{}));
  CHECK(without(&cpu_words::leaf7_ebx, 30, simd::avx512bw{}));
  CHECK(without(&cpu_words::leaf7_ecx, 1, simd::avx512vnni_vbmi{}));   // VBMI
  CHECK(without(&cpu_words::leaf7_ecx, 11, simd::avx512vnni_vbmi{}));  // VNNI
  CHECK(without(&cpu_words::leaf7_ebx, 21, simd::avx512vnni_vbmi{}));  // IFMA
  CHECK(without(&cpu_words::leaf7_edx, 24, simd::amx_int8{}));         // AMX-TILE
  CHECK(without(&cpu_words::leaf7_edx, 25, simd::amx_int8{}));         // AMX-INT8
  CHECK(without(&cpu_words::leaf7_ecx, 11, simd::amx_int8{}));         // VNNI
  CHECK(without(&cpu_words::permissions, 0, simd::amx_int8{}));        // the system refused
  CHECK(without(&cpu_words::hwcap, 1, simd::neon64{}));
  CHECK(without(&cpu_words::hwcap, 20, simd::neon64_dotprod{}));
  CHECK(without(&cpu_words::hwcap2, 13, simd::neon64_i8mm{}));
  CHECK(without(&cpu_words::hwcap, 20, simd::neon64_i8mm{}));
}

TEST_CASE("cpu: registers that the system does not save are not used") {
  simd::cpu_words c = everything();
  for (const int tiles : {17, 18}) {  // their shapes, their contents
    c.xcr0 = ~(std::uint64_t{1} << tiles);
    CHECK(runs_on(c, simd::avx512vnni_vbmi{}));
    CHECK(!runs_on(c, simd::amx_int8{}));
  }
  c.xcr0 = 0x7;  // x87, xmm, ymm
  CHECK(runs_on(c, simd::avx2{}));
  CHECK(!runs_on(c, simd::avx512bw{}));
  CHECK(!runs_on(c, simd::avx512vnni_vbmi{}));
  c.xcr0 = 0x3;
  CHECK(!runs_on(c, simd::avx2{}));
  CHECK(!runs_on(c, simd::avxvnni{}));
  CHECK(runs_on(c, simd::sse4_1{}));
}

#if defined(__x86_64__) && defined(__linux__)
TEST_CASE("cpu: the system says the same of this CPU") {
  const auto flags = flags_of_the_system();
  if (flags.empty()) return;  // no /proc
  const auto all = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* n) { return flags.contains(n); });
  };
  const simd::cpu_words here = simd::with_permissions(simd::read_cpu());
  CHECK(runs_on(here, simd::sse4_1{}) == all({"ssse3", "sse4_1"}));
  const bool v3 = all({"avx2", "bmi1", "bmi2", "fma", "f16c", "movbe", "abm"});
  CHECK(runs_on(here, simd::avx2{}) == v3);
  CHECK(runs_on(here, simd::avxvnni{}) == (v3 && all({"avx_vnni"})));
  const bool v4 = v3 && all({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  CHECK(runs_on(here, simd::avx512bw{}) == v4);
  if (runs_on(here, simd::amx_int8{})) CHECK(all({"amx_tile", "amx_int8"}));
  CHECK(runs_on(here, simd::avx512vnni_vbmi{}) ==
        (v4 && all({"avx512vbmi", "avx512_vnni", "avx512ifma", "avx512_vbmi2", "avx512_bitalg",
                    "avx512_vpopcntdq", "gfni", "vaes", "vpclmulqdq"})));
}
#endif
