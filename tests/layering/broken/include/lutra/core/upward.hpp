// lutra: upward.hpp - broken on purpose.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/ir/leaf.hpp>
#define LUTRA_ELSEWHERE
