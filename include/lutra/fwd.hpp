// lutra: fwd.hpp - the two customization points, declared and nothing else.
// SPDX-License-Identifier: Apache-2.0
//
// For headers of yours that are included widely and only have to name a specialisation: declare its
// members there, define them where tensor/traits.hpp or graph/traits.hpp is included.
#pragma once

#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

template <class T> class tensor_view;     // tensor/view.hpp
template <class T> struct tensor_traits;  // tensor/traits.hpp: how lutra sees your tensor
template <class G> struct graph_traits;   // graph/traits.hpp: how lutra sees your graph

}  // namespace lutra::inline LUTRA_ABI
