// lutra: heavy.hpp - broken on purpose.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/simd/arch.hpp>
