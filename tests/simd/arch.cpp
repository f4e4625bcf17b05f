#include <lutra/simd/arch.hpp>
#include <type_traits>

// A level extends the one below it, so overloads on tags fall back along this line.
namespace simd = lutra::simd;
static_assert(std::is_base_of_v<simd::portable, simd::native>);
static_assert(std::is_base_of_v<simd::sse4_1, simd::avxvnni>);
static_assert(std::is_base_of_v<simd::avx2, simd::avx512vnni_vbmi>);
static_assert(std::is_base_of_v<simd::avx512vnni_vbmi, simd::amx_int8>);
static_assert(!std::is_base_of_v<simd::avxvnni, simd::avx512bw>);  // AVX-512 CPUs may lack AVX-VNNI
static_assert(std::is_base_of_v<simd::neon64, simd::neon64_i8mm>);
static_assert(simd::avx512vnni_vbmi::name == "avx512vnni_vbmi");
static_assert(simd::has_xsimd == !std::is_same_v<simd::native, simd::portable>);
