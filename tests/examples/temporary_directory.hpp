// Helpers of the example tests: a directory that goes away, and files as bytes.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <lutra/core/error.hpp>
#include <string>
#include <vector>

namespace test {

class temporary_directory {
 public:
  temporary_directory() {
    static int counter = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("lutra-test-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

using bytes = std::vector<std::uint8_t>;

inline bytes slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return bytes(std::istreambuf_iterator<char>(in), {});
}
inline void dump(const std::string& path, const bytes& content) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(content.data()),
            static_cast<std::streamsize>(content.size()));
}
inline bytes first(const bytes& b, std::size_t n) {
  return bytes(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(n));
}

// Runs f and returns the lutra::error it must raise.
template <class F> lutra::error error_of(F&& f) {
  try {
    f();
  } catch (const lutra::error& e) {
    return e;
  }
  return lutra::error(lutra::errc::invalid_state, "no error was raised", "error_of", "", "");
}
inline std::string text(const lutra::error& e) { return e.what(); }
inline bool mentions(const lutra::error& e, std::string_view text) {
  return std::string_view(e.what()).find(text) != std::string_view::npos;
}

}  // namespace test
