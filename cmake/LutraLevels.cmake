# Build levels and their exact compiler flags (include/lutra/simd/arch.hpp has the types).
set(LUTRA_LEVELS native portable sse2 sse4_1 avx2 avxvnni avx512bw avx512vnni_vbmi
    neon64 neon64_dotprod neon64_i8mm)
set(LUTRA_FLAGS_native -march=native)
set(LUTRA_FLAGS_portable -DLUTRA_FORCE_PORTABLE)
set(LUTRA_FLAGS_sse2 -march=x86-64)
set(LUTRA_FLAGS_sse4_1 -march=x86-64 -mssse3 -msse4.1)
set(LUTRA_FLAGS_avx2 -march=x86-64-v3)
set(LUTRA_FLAGS_avxvnni -march=x86-64-v3 -mavxvnni)
set(LUTRA_FLAGS_avx512bw -march=x86-64-v4)
set(LUTRA_FLAGS_avx512vnni_vbmi -march=icelake-server)
set(LUTRA_FLAGS_neon64 -march=armv8-a)
set(LUTRA_FLAGS_neon64_dotprod -march=armv8.2-a+dotprod)
set(LUTRA_FLAGS_neon64_i8mm -march=armv8.2-a+dotprod+i8mm)
