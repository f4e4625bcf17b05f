#include <doctest/doctest.h>

#include <common/idx.hpp>

#include "temporary_directory.hpp"

using lutra::errc;
using lutra_examples::read_idx;
using test::error_of;
using test::mentions;

namespace {

// An IDX file of the given extents followed by 0, 1, 2, ...
test::bytes idx_file(std::initializer_list<std::uint32_t> extents, std::size_t elements) {
  test::bytes b{0, 0, 8, static_cast<std::uint8_t>(extents.size())};
  for (const std::uint32_t e : extents) {
    for (int s = 24; s >= 0; s -= 8) b.push_back(static_cast<std::uint8_t>(e >> s));
  }
  for (std::size_t i = 0; i < elements; ++i) b.push_back(static_cast<std::uint8_t>(i));
  return b;
}

void dump_gz(const std::string& path, const test::bytes& content) {
  gzFile_s* f = ::gzopen(path.c_str(), "wb");
  REQUIRE(f != nullptr);
  REQUIRE(::gzwrite(f, content.data(), static_cast<unsigned>(content.size())) ==
          static_cast<int>(content.size()));
  REQUIRE(::gzclose(f) == Z_OK);
}

lutra::error idx_error(const test::bytes& content, int rank) {
  test::temporary_directory dir;
  test::dump(dir.file("x"), content);
  return error_of([&] { read_idx(dir.file("x"), rank); });
}

}  // namespace

TEST_CASE("idx: plain and gzip files read alike") {
  test::temporary_directory dir;
  const test::bytes content = idx_file({2, 3, 4}, 24);
  test::dump(dir.file("plain"), content);
  dump_gz(dir.file("gz"), content);
  const auto plain = read_idx(dir.file("plain"), 3);
  CHECK(plain.extents() == lutra::shape{2, 3, 4});
  CHECK(plain[23] == 23);
  CHECK(read_idx(dir.file("gz"), 3) == plain);
  test::dump(dir.file("none"), idx_file({0, 28, 28}, 0));
  CHECK(read_idx(dir.file("none"), 3).size() == 0);
}

TEST_CASE("idx: every prefix of a plain and of a gzip file is refused") {
  test::temporary_directory dir;
  const test::bytes content = idx_file({3, 5}, 15);
  dump_gz(dir.file("gz"), content);
  const test::bytes packed = test::slurp(dir.file("gz"));
  for (const test::bytes* whole : {&content, &packed}) {
    for (std::size_t n = 0; n < whole->size(); ++n) {
      const auto e = idx_error(test::first(*whole, n), 2);
      CHECK_MESSAGE(e.code() == errc::corrupt_data, "prefix of ", n, " bytes: ", test::text(e));
    }
  }
}

TEST_CASE("idx: a damaged checksum is refused") {
  test::temporary_directory dir;
  dump_gz(dir.file("gz"), idx_file({3, 5}, 15));
  test::bytes packed = test::slurp(dir.file("gz"));
  packed[packed.size() - 6] ^= 1U;  // in the CRC
  CHECK(idx_error(packed, 2).code() == errc::corrupt_data);
}

TEST_CASE("idx: wrong magic, rank, type and size are refused with what was seen") {
  test::bytes b = idx_file({4}, 4);
  const auto rank = idx_error(b, 3);
  CHECK(rank.code() == errc::corrupt_data);
  CHECK(mentions(rank, "[0, 0, 8, 1]"));
  CHECK(mentions(rank, "[0, 0, 8, 3]"));
  b[2] = 0x0D;  // float
  CHECK(mentions(idx_error(b, 1), "[0, 0, 13, 1]"));
  b[2] = 8;
  b[0] = 1;
  CHECK(idx_error(b, 1).code() == errc::corrupt_data);
  const auto extra = idx_error(idx_file({4}, 5), 1);
  CHECK(extra.code() == errc::corrupt_data);
  CHECK(mentions(extra, "after the last element"));
  const auto fewer = idx_error(idx_file({4}, 3), 1);
  CHECK(fewer.code() == errc::corrupt_data);
  CHECK(mentions(fewer, "truncated"));
}

TEST_CASE("idx: claims far beyond the file cost no memory and overflow is an error") {
  CHECK(idx_error(idx_file({0x7fffffff, 0x7fffffff}, 100), 2).code() == errc::corrupt_data);
  CHECK(idx_error(idx_file({0xffffffff, 0xffffffff, 2}, 100), 3).code() == errc::size_overflow);
}

TEST_CASE("idx: a missing file is an io error") {
  test::temporary_directory dir;
  const auto e = error_of([&] { read_idx(dir.file("missing"), 1); });
  CHECK(e.code() == errc::io_error);
  CHECK(mentions(e, "missing"));
}

TEST_CASE("idx: the committed MNIST files have the expected shapes") {
  const std::string data = LUTRA_SOURCE_DIR "/examples/data/";
  CHECK(read_idx(data + "t10k-images-idx3-ubyte.gz", 3).extents() == lutra::shape{10000, 28, 28});
  CHECK(read_idx(data + "train-2176-images-idx3-ubyte.gz", 3).extents() ==
        lutra::shape{2176, 28, 28});
  const auto labels = read_idx(data + "t10k-labels-idx1-ubyte.gz", 1);
  CHECK(labels.size() == 10000);
  CHECK(labels[0] == 7);
}
