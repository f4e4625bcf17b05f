// lutra: lutra.hpp - broken on purpose.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/core/first.hpp>
