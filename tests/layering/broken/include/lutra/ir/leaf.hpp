// lutra: leaf.hpp - broken on purpose.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>
#include <Eigen/Core>
#include <lutra/ir/missing.hpp>
#include <xsimd/xsimd.hpp>
