// The kernels of simd::native, for all files that are compiled with LUTRA_EXTERN_KERNELS.
#include <lutra/runtime/gemm/panel.hpp>

template void lutra::multiply_panels<lutra::simd::native>(
    const lutra::lut_matrix&, lutra::index_range,
    const lutra::activation_rows<lutra::simd::native>&, lutra::index_t, lutra::index_t,
    const lutra::panel_output&, const lutra::columns_done&);
