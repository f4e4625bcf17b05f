// lutra examples: idx.hpp - reads the IDX files of MNIST, plain or gzip, over zlib.
// SPDX-License-Identifier: Apache-2.0
//
// File: two zero bytes, element type (0x08 = unsigned byte, the only one read here), rank, one
// big-endian 32-bit extent per axis, the elements row-major. Everything a damaged or hostile file
// can claim is checked; memory grows with the bytes that are really there, never with a claim.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <lutra/tensor/tensor.hpp>
#include <memory>
#include <string>
#include <vector>

namespace lutra_examples {

// One opened file; reads decompressed bytes and tells a truncated stream from a complete one.
class gzip_reader {
 public:
  explicit gzip_reader(const std::string& path) : path_(path), file_(::gzopen(path.c_str(), "rb")) {
    if (!file_) lutra::raise(lutra::errc::io_error, "cannot open the file", path);
  }
  // Up to `size` bytes; fewer only at the end of the stream.
  std::size_t read(std::uint8_t* out, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
      const auto step = static_cast<unsigned>(std::min<std::size_t>(size - done, 1U << 20));
      const int n = ::gzread(file_.get(), out + done, step);
      if (n < 0) fail();
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  // Raises unless the stream ends here and its checksum and length are right.
  void expect_end() {
    std::uint8_t extra = 0;
    if (read(&extra, 1) != 0) {
      lutra::raise(lutra::errc::corrupt_data, "bytes after the last element", path_);
    }
    int code = Z_OK;
    ::gzerror(file_.get(), &code);
    if (code != Z_OK) fail();
  }
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail() {
    int code = Z_OK;
    const char* text = ::gzerror(file_.get(), &code);
    const bool system = code == Z_ERRNO;
    lutra::raise(system ? lutra::errc::io_error : lutra::errc::corrupt_data,
                 system ? "cannot read the file" : "damaged gzip stream", path_, text);
  }
  struct closer {
    void operator()(gzFile_s* f) const { ::gzclose_r(f); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, closer> file_;
};

// The tensor of an IDX file of unsigned bytes with `rank` axes (images: 3, labels: 1).
inline lutra::tensor<std::uint8_t> read_idx(const std::string& path, int rank) {
  using lutra::errc;
  gzip_reader file(path);
  std::array<std::uint8_t, 4> magic{};
  if (file.read(magic.data(), magic.size()) != magic.size()) {
    lutra::raise(errc::corrupt_data, "truncated IDX header", path);
  }
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 0x08 || magic[3] != rank) {
    lutra::raise(errc::corrupt_data, "not an IDX file of unsigned bytes of this rank", path,
                 lutra::text_of(std::span<const std::uint8_t>(magic)),
                 "[0, 0, 8, " + lutra::text_of(rank) + "]");
  }
  std::vector<lutra::index_t> extents;
  lutra::index_t size = 1;
  for (int axis = 0; axis < rank; ++axis) {
    std::array<std::uint8_t, 4> b{};
    if (file.read(b.data(), b.size()) != b.size()) {
      lutra::raise(errc::corrupt_data, "truncated IDX header", path);
    }
    extents.push_back(lutra::index_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
    if (extents.back() != 0 && size > lutra::max_size / extents.back()) {
      lutra::raise(errc::size_overflow, "element count overflows", path,
                   lutra::text_of(std::span<const lutra::index_t>(extents)),
                   "a product up to 2^62");
    }
    size *= extents.back();
  }
  std::vector<std::uint8_t> elements;
  while (static_cast<lutra::index_t>(elements.size()) < size) {
    const std::size_t done = elements.size();
    const auto step = std::min(static_cast<std::size_t>(size) - done, std::size_t{1} << 22);
    elements.resize(done + step);
    const std::size_t n = file.read(elements.data() + done, step);
    if (n != step) {
      lutra::raise(errc::corrupt_data, "truncated IDX file", path,
                   lutra::text_of(done + n) + " elements", lutra::text_of(size));
    }
  }
  file.expect_end();
  return {lutra::shape(std::span<const lutra::index_t>(extents)), std::move(elements)};
}

}  // namespace lutra_examples
