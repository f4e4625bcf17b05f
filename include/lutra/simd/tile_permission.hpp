// lutra: tile_permission.hpp - leave to use the tile registers of AMX, which a process must ask for.
// SPDX-License-Identifier: Apache-2.0
//
// Linux saves the 8 KiB of tiles on a task switch only for processes that asked (5.16 and later); the first tile
// instruction of any other ends it. Asked once, for all threads of the process and those it starts later. It is refused
// where a signal stack is in use that could not hold the tiles, and by sandboxes. Once it is given, sigaltstack refuses
// such stacks in the whole process.
#pragma once

#include <lutra/core/config.hpp>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace lutra::inline LUTRA_ABI::simd {

// Whether this process may use tiles now; asks the system. False where it does not know them.
inline bool ask_for_tiles() noexcept {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long request_permission = 0x1023,
                 tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  const int before = errno;
  const bool granted = ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  errno = before;
  return granted;
#else
  return false;
#endif
}

// The same, asked at the first call only.
inline bool tiles_permitted() noexcept {
  static const bool granted = ask_for_tiles();
  return granted;
}

}  // namespace lutra::inline LUTRA_ABI::simd
