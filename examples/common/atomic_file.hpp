// lutra examples: atomic_file.hpp - a file appears complete under its name, or not at all.
// SPDX-License-Identifier: Apache-2.0
//
// The bytes go to a temporary file in the same directory, reach the disk (fsync), and only then
// take the target's name (rename). Any failure removes the temporary file, leaves a file that was
// there before untouched, and raises errc::io_error with the system's reason.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <lutra/core/error.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace lutra_examples {

using byte_span = std::span<const std::uint8_t>;

inline byte_span bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Raises io_error for the system call that just failed (errno).
[[noreturn]] inline void raise_system_error(const char* what, const std::string& path) {
  const int code = errno;
  lutra::raise(lutra::errc::io_error, what, path, std::generic_category().message(code));
}

// Owns a temporary file until it is renamed.
class temporary_file {
 public:
  explicit temporary_file(const std::string& target) : target_(target) {
    static std::atomic<unsigned> counter{0};
    path_ = target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) raise_system_error("cannot create a file", path_);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void write(byte_span bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) raise_system_error("cannot write the file", target_);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  // Gives the file its final name.
  void publish() {
    if (::fsync(descriptor_) != 0) raise_system_error("cannot write the file", target_);
    if (::close(std::exchange(descriptor_, -1)) != 0) {
      raise_system_error("cannot write the file", target_);
    }
    if (std::rename(path_.c_str(), target_.c_str()) != 0) {
      raise_system_error("cannot rename the finished file", target_);
    }
    path_.clear();
  }

 private:
  std::string target_;
  std::string path_;
  int descriptor_ = -1;
};

// Writes the concatenation of `parts` to `path`.
inline void write_file(const std::string& path, std::span<const byte_span> parts) {
  temporary_file file(path);
  for (const byte_span part : parts) file.write(part);
  file.publish();
}

}  // namespace lutra_examples
