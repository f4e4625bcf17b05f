// lutra: integer_operation.hpp - any operation of integer mode.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/ir/ops/integer_grouped.hpp>
#include <lutra/ir/ops/integer_table.hpp>
#include <lutra/ir/ops/integer_volume.hpp>
#include <variant>

namespace lutra::inline LUTRA_ABI::ir {

using integer_operation =
    std::variant<integer_conv, integer_conv_transpose, integer_linear, integer_matmul,
                 integer_max_pool, integer_mean_pool, integer_add, integer_elementwise, integer_map,
                 integer_layout, integer_concat, integer_conv3d, integer_conv_transpose3d,
                 integer_pool3d<integer_max_pool>, integer_pool3d<integer_mean_pool>,
                 integer_channel_map, integer_grouped_conv, integer_grouped_conv_transpose,
                 integer_grouped_linear>;

}  // namespace lutra::inline LUTRA_ABI::ir
