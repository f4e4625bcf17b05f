#include <lutra/observe/state.hpp>

#include "../errors.hpp"

#include <cmath>
#include <limits>

using namespace lutra;

namespace {
std::vector<std::uint8_t> sample() {
  state_writer w;
  w.u8(7);
  w.u32(0x01020304U);
  w.i64(-5);
  w.f32(-0.0F);
  w.f64(std::numeric_limits<double>::infinity());
  w.text("key");
  w.f32s(std::vector<float>{1.5F, std::numeric_limits<float>::quiet_NaN()});
  return w.take();
}
void read(std::span<const std::uint8_t> bytes) {
  state_reader r(bytes, "test");
  CHECK(r.u8() == 7);
  CHECK(r.u32() == 0x01020304U);
  CHECK(r.i64() == -5);
  CHECK(std::signbit(r.f32()));
  CHECK(std::isinf(r.f64()));
  CHECK(r.text() == "key");
  const std::vector<float> fs = r.f32s();
  CHECK(fs.size() == 2);
  CHECK(fs[0] == 1.5F);
  CHECK(std::isnan(fs[1]));
  r.expect_end();
}
}  // namespace

TEST_CASE("state: what is written is read back, little-endian") {
  const std::vector<std::uint8_t> bytes = sample();
  read(bytes);
  CHECK(bytes[1] == 4);
  CHECK(bytes[4] == 1);
}

TEST_CASE("state: every truncation is an error, so is a byte too many") {
  std::vector<std::uint8_t> bytes = sample();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto read_all = [&] {
      state_reader r(std::span<const std::uint8_t>(bytes).first(n), "test");
      r.u8();
      r.u32();
      r.i64();
      r.f32();
      r.f64();
      r.text();
      r.f32s();
    };
    CHECK_ERROR(read_all(), corrupt_data, "test, byte");
  }
  bytes.push_back(0);
  state_reader r(bytes, "test");
  CHECK_ERROR(r.expect_end(), corrupt_data, "left over");
}

TEST_CASE("state: a corrupt count does not become an allocation") {
  state_writer w;
  w.u64(std::numeric_limits<std::uint64_t>::max());
  for (int i = 0; i < 8; ++i) w.u8(0);
  state_reader floats(w.bytes(), "test");
  CHECK_ERROR(floats.f32s(), corrupt_data, "count exceeds", "18446744073709551615", "<= 2");
  state_reader text(w.bytes(), "test");
  CHECK_ERROR(text.text(), corrupt_data, "count exceeds");
  const std::vector<std::uint8_t> two = {2};
  state_reader flag(two, "test");
  CHECK_ERROR(flag.flag(), corrupt_data, "flag", "2", "0, 1");
}

TEST_CASE("state: a seal that does not fit says of how many bytes, and both checksums") {
  state_writer w;
  w.u8(7);
  std::vector<std::uint8_t> bytes = sealed(std::move(w));
  CHECK(unsealed(bytes, "test").size() == 1);
  const std::string seven = text_of(checksum_of(std::vector<std::uint8_t>{7}));
  const std::string nine = text_of(checksum_of(std::vector<std::uint8_t>{9}));
  bytes[0] = 9;
  CHECK_ERROR(unsealed(bytes, "test"), corrupt_data,
              "checksum differs, bytes are missing or damaged (test): got " + nine +
                  " of 1 bytes, allowed: " + seven);
}
