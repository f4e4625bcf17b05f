// lutra: progress.hpp - what a long operation tells its caller, and how the caller stops it.
// SPDX-License-Identifier: Apache-2.0
//
// The library prints nothing. A progress callback is called on the calling thread between units of
// work; returning false cancels: the operation undoes its edits and raises errc::cancelled.
#pragma once

#include <functional>
#include <lutra/core/error.hpp>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// done in [0, total]; `stage` names the operation ("palettize", "calibrate", ...).
using progress_callback = std::function<bool(std::string_view stage, index_t done, index_t total)>;

enum class log_level { info, warning };
using log_sink = std::function<void(log_level, std::string_view message)>;

// Reports progress; raises errc::cancelled if the callback says stop. An empty callback is fine.
inline void report_progress(const progress_callback& callback, std::string_view stage, index_t done,
                            index_t total) {
  if (callback && !callback(stage, done, total)) {
    raise(errc::cancelled, "cancelled by the progress callback", std::string(stage),
          text_of(done) + " of " + text_of(total));
  }
}

inline void log(const log_sink& sink, log_level level, std::string_view message) {
  if (sink) sink(level, message);
}

}  // namespace lutra::inline LUTRA_ABI
