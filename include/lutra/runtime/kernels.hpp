// lutra: kernels.hpp - the kernels of simd::native, for a program of which several files multiply by palettes.
// SPDX-License-Identifier: Apache-2.0
//
// Include it in one file of the program, which needs nothing else, and define LUTRA_EXTERN_KERNELS for all others:
// these then compile no kernels. All must be compiled with the same instruction set flags; files of another level find
// no kernels, which the linker says. Not part of lutra.hpp.
#pragma once

#include <lutra/runtime/gemm/panel.hpp>

namespace lutra::inline LUTRA_ABI {

template void multiply_panels<simd::native>(const lut_matrix&, index_range,
                                            const activation_rows<simd::native>&, index_t, index_t,
                                            const panel_output&, const columns_done&);

}  // namespace lutra::inline LUTRA_ABI
