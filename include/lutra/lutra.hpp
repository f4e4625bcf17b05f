// lutra: lutra.hpp - the whole library, but for what needs oneTBB, JSON or Eigen's unsupported modules.
// SPDX-License-Identifier: Apache-2.0
//
// Costs 10 to 13 s per translation unit, 2 of them for Eigen and xsimd, half for instantiating templates. The light
// headers are core/, number/, tensor/ (but tensor/eigen*.hpp), graph/ and every spec.hpp. Not here:
// core/executor_tbb.hpp, tensor/eigen_tensor.hpp, graph/config_json.hpp, flow/report_json.hpp, runtime/kernels.hpp.
#pragma once

#include <lutra/affine/error_report.hpp>
#include <lutra/affine/program_pass.hpp>
#include <lutra/affine/row_quantize.hpp>
#include <lutra/affine/two_level.hpp>
#include <lutra/core/executor_openmp.hpp>
#include <lutra/core/executor_ref.hpp>
#include <lutra/core/random.hpp>
#include <lutra/fake_quant/gradient.hpp>
#include <lutra/fake_quant/qat_schedule.hpp>
#include <lutra/flow/fold_batch_norm.hpp>
#include <lutra/flow/mixed_precision.hpp>
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/flow/report_text.hpp>
#include <lutra/flow/squared_gradients.hpp>
#include <lutra/fwd.hpp>
#include <lutra/graph/conformance.hpp>
#include <lutra/graph/inspect.hpp>
#include <lutra/graph/json/fields.hpp>
#include <lutra/graph/presets.hpp>
#include <lutra/ir/lower.hpp>
#include <lutra/ir/saved.hpp>
#include <lutra/ir/traits.hpp>
#include <lutra/number/e8m0.hpp>
#include <lutra/observe/finite_only.hpp>
#include <lutra/observe/known_range.hpp>
#include <lutra/observe/range/ort_entropy.hpp>
#include <lutra/observe/saved.hpp>
#include <lutra/observe/sharded.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/float_matrix.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/runtime/scaled_conv.hpp>
#include <lutra/simd/dispatch.hpp>
#include <lutra/tensor/eigen.hpp>
