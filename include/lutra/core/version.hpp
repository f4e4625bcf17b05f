// lutra: version.hpp - the library's version; includes nothing and defines nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define LUTRA_VERSION_MAJOR 0
#define LUTRA_VERSION_MINOR 1
#define LUTRA_VERSION_PATCH 0
// Comparable number: 10000 * major + 100 * minor + patch.
#define LUTRA_VERSION 100
#define LUTRA_VERSION_STRING "0.1.0"
