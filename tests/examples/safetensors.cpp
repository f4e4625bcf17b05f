#include <doctest/doctest.h>

#include <common/safetensors.hpp>
#include <csignal>

#include <sys/resource.h>

#include "temporary_directory.hpp"

using lutra::errc;
using namespace lutra_examples;
using test::error_of;
using test::mentions;

namespace {

// A file with the given JSON and data, whatever they say.
test::bytes raw_file(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t n = header.size();
  test::bytes file(8 + header.size() + data_bytes);
  std::memcpy(file.data(), &n, 8);
  std::ranges::copy(header, file.begin() + 8);
  return file;
}

lutra::error read_error(const test::bytes& content) {
  test::temporary_directory dir;
  test::dump(dir.file("x"), content);
  return error_of([&] { safetensors_reader reader(dir.file("x")); });
}
lutra::error read_error(const std::string& header, std::size_t data_bytes = 0) {
  return read_error(raw_file(header, data_bytes));
}

std::string f32(const std::string& name, const std::string& extents, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + extents + "],\"data_offsets\":[" +
         offsets + "]}";
}

}  // namespace

TEST_CASE("safetensors: what is written is read back, sorted and aligned") {
  test::temporary_directory dir;
  const std::vector<float> w{1.5F, -2.0F, 0.25F, 3.0F, 4.0F, -0.0F};
  const std::vector<std::uint8_t> codes{1, 2, 3};
  const std::vector<std::int8_t> lut{-128, 127};
  const std::vector<lutra::half> h{lutra::half(0.5F), lutra::half(-3.0F)};
  const std::vector<lutra::bfloat16> b{lutra::bfloat16(1.0F)};
  const std::string path = dir.file("model.safetensors");
  write_safetensors(
      path,
      {tensor_of("codes", {3}, codes), tensor_of("w", {2, 3}, w),
       tensor_of("lut \"quoted\"", {2}, lut), tensor_of("h", {2}, h),
       tensor_of("b", lutra::shape{}, b), tensor_of("none", {0, 4}, std::vector<float>{})},
      {{"schema", "1"}, {"text", "line\nbreak \xc3\xa9"}});
  safetensors_reader reader(path);
  CHECK(reader.metadata() ==
        std::map<std::string, std::string>{{"schema", "1"}, {"text", "line\nbreak \xc3\xa9"}});
  CHECK(reader.tensors().size() == 6);
  CHECK(reader.read<float>("w") == lutra::tensor<float>({2, 3}, w));
  CHECK(std::signbit(reader.read<float>("w")[5]));
  CHECK(reader.read<std::uint8_t>("codes").elements() == codes);
  CHECK(reader.read<std::int8_t>("lut \"quoted\"").elements() == lut);
  CHECK(reader.read_float("h") == lutra::tensor<float>({2}, {0.5F, -3.0F}));
  CHECK(reader.read_float("b") == lutra::tensor<float>(lutra::shape{}, {1.0F}));
  CHECK(reader.read_float("none").size() == 0);
  CHECK(reader.find("nope") == nullptr);
  for (const tensor_entry& t : reader.tensors()) {
    CHECK(t.begin % static_cast<std::uint64_t>(element_bytes(t.dtype)) == 0);
  }
  const auto wrong = error_of([&] { reader.read<float>("codes"); });
  CHECK(wrong.code() == errc::corrupt_data);
  CHECK(mentions(wrong, "'codes'"));
  CHECK(mentions(wrong, "U8"));
  CHECK(error_of([&] { reader.at("nope"); }).code() == errc::invalid_argument);
}

TEST_CASE("safetensors: the bytes written do not depend on the order of the tensors") {
  test::temporary_directory dir;
  const std::vector<float> w{1.0F, 2.0F};
  const std::vector<std::uint8_t> c{7};
  write_safetensors(dir.file("a"), {tensor_of("w", {2}, w), tensor_of("c", {1}, c)}, {{"k", "v"}});
  write_safetensors(dir.file("b"), {tensor_of("c", {1}, c), tensor_of("w", {2}, w)}, {{"k", "v"}});
  CHECK(test::slurp(dir.file("a")) == test::slurp(dir.file("b")));
  CHECK(dir.entries() == 2);
}

TEST_CASE("safetensors: an empty file of tensors is valid") {
  test::temporary_directory dir;
  write_safetensors(dir.file("empty"), {});
  CHECK(safetensors_reader(dir.file("empty")).tensors().empty());
}

TEST_CASE("safetensors: the MNIST model reads as expected") {
  safetensors_reader reader(LUTRA_SOURCE_DIR "/examples/data/mnist_cnn.safetensors");
  CHECK(reader.tensors().size() == 4);
  CHECK(reader.at("conv1.weight").extents == lutra::shape{32, 1, 3, 3});
  CHECK(reader.at("fc.weight").extents == lutra::shape{10, 6272});
  CHECK(reader.metadata().at("format") == "pt");
}

TEST_CASE("safetensors: every prefix of a file is refused") {
  test::temporary_directory dir;
  const std::vector<float> w{1.0F, 2.0F, 3.0F};
  const std::vector<std::uint8_t> c{9, 8};
  write_safetensors(dir.file("whole"), {tensor_of("w", {3}, w), tensor_of("c", {2}, c)},
                    {{"format", "test"}});
  const test::bytes whole = test::slurp(dir.file("whole"));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto e = read_error(test::first(whole, n));
    CHECK_MESSAGE(e.code() == errc::corrupt_data, "prefix of ", n, " bytes: ", test::text(e));
  }
}

TEST_CASE(
    "safetensors: a header length beyond the file or the limit is refused without allocating") {
  test::bytes file(64);
  for (const std::uint64_t n :
       {std::uint64_t{57}, std::uint64_t{100'000'001}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    std::memcpy(file.data(), &n, 8);
    const auto e = read_error(file);
    CHECK(e.code() == errc::corrupt_data);
    CHECK(mentions(e, "header length"));
    CHECK(mentions(e, std::to_string(n)));
  }
}

TEST_CASE(
    "safetensors: offsets that overlap, leave holes, run backwards or past the end are refused") {
  const auto refuse = [](const std::string& tensors, std::size_t data, std::string_view why) {
    const auto e = read_error("{" + tensors + "}", data);
    CHECK_MESSAGE(e.code() == errc::corrupt_data, test::text(e));
    CHECK_MESSAGE(mentions(e, why), test::text(e));
  };
  CHECK(error_of([] {}).code() == errc::invalid_state);  // the helper notices silence
  refuse(f32("a", "2", "0,8") + "," + f32("b", "2", "4,12"), 12, "overlap");
  refuse(f32("a", "2", "0,8") + "," + f32("b", "2", "0,8"), 8, "overlap");
  refuse(f32("a", "1", "0,4") + "," + f32("b", "1", "8,12"), 12, "hole");
  refuse(f32("a", "1", "4,8"), 8, "hole");
  refuse(f32("a", "1", "0,4"), 8, "after the last tensor");
  refuse(f32("a", "2", "0,8"), 4, "truncated");
  refuse(f32("a", "1", "4,0"), 4, "[begin, end]");
  refuse(f32("a", "2", "0,4"), 4, "byte count");
  refuse(f32("a", "", "0,0"), 0, "byte count");  // rank 0 is one element
  refuse(f32("a", "1", "0"), 4, "[begin, end]");
  refuse(f32("a", "1", "0,4,8"), 4, "too many numbers");
  refuse(f32("a", "1", "18446744073709551612,18446744073709551615"), 4, "byte count");
  refuse(f32("a", "1", "18446744073709551612,18446744073709551616"), 4, "not an integer");
  refuse(f32("a", "1", "0,-4"), 4, "negative");
  refuse(f32("a", "1.5", "0,4"), 4, "not an integer");
  refuse(f32("a", "1,1,1,1,1,1,1,1,1", "0,4"), 4, "too many numbers");
}

TEST_CASE("safetensors: a shape whose product overflows is refused") {
  for (const std::string extents :
       {"4294967296,4294967296", "9223372036854775808,2", "18446744073709551615",
        "0,4611686018427387904,4611686018427387904",
        "2305843009213693952,2305843009213693952,4,4"}) {
    const auto e = read_error("{" + f32("a", extents, "0,0") + "}");
    CHECK_MESSAGE(e.code() == errc::size_overflow, test::text(e));
    CHECK(mentions(e, "'a'"));
  }
}

TEST_CASE("safetensors: wrong types and malformed headers are refused") {
  const auto corrupt = [](const std::string& header, std::string_view why) {
    const auto e = read_error(header, 4);
    CHECK_MESSAGE(e.code() == errc::corrupt_data, test::text(e));
    CHECK_MESSAGE(mentions(e, why), test::text(e));
  };
  const std::string a = f32("a", "1", "0,4");
  const auto unknown =
      read_error("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
  CHECK(unknown.code() == errc::unsupported);
  CHECK(mentions(unknown, "'F33'"));
  CHECK(read_error("{\"a\":{\"dtype\":\" \",\"shape\":[1],\"data_offsets\":[0,4]}}", 4).code() ==
        errc::unsupported);
  CHECK(
      read_error("{\"a\":{\"dtype\":\"U8 I8\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4).code() ==
      errc::unsupported);
  corrupt("[" + a + "]", "begin with '{'");
  corrupt(" {" + a + "}", "begin with '{'");
  corrupt("{" + a + "," + f32("a", "0", "4,4") + "}", "duplicate name");
  corrupt("{" + a + ",\"__metadata__\":{},\"__metadata__\":{}}", "duplicate name");
  corrupt("{" + a + ",\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "duplicate key");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          "duplicate field");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "needs dtype");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}",
          "unknown field");
  corrupt("{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", "unexpected number");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", "unexpected array");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", "unexpected object");
  corrupt("{\"a\":{\"dtype\":\"F32\",\"shape\":null,\"data_offsets\":[0,4]}}", "unexpected null");
  corrupt("{\"a\":true}", "unexpected boolean");
  corrupt("{\"a\":\"F32\"}", "unexpected text");
  corrupt("{\"__metadata__\":{\"k\":1}," + a + "}", "unexpected number");
  corrupt("{\"__metadata__\":{\"k\":{}}," + a + "}", "unexpected object");
  corrupt("{" + a + "} x", "not JSON");
  corrupt("{" + a + ",}", "not JSON");
  corrupt("{" + a, "not JSON");
  corrupt("{\"\xff\xfe\":{}}", "not JSON");
  corrupt("{\"a\":" + std::string(1'000'000, '['), "unexpected array");
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "{\"a\":";
  corrupt(deep, "unknown field");
}

TEST_CASE("safetensors: random damage is refused or gives a consistent header, and never crashes") {
  test::temporary_directory dir;
  const std::vector<float> w{1.0F, 2.0F, 3.0F};
  write_safetensors(dir.file("whole"), {tensor_of("w", {3}, w)}, {{"format", "test"}});
  const test::bytes whole = test::slurp(dir.file("whole"));
  std::uint64_t state = 1;
  for (int i = 0; i < 2000; ++i) {
    test::bytes damaged = whole;
    for (int k = 0; k < 3; ++k) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      damaged[(state >> 33) % damaged.size()] = static_cast<std::uint8_t>(state >> 56);
    }
    test::dump(dir.file("damaged"), damaged);
    try {
      safetensors_reader reader(dir.file("damaged"));
      for (const tensor_entry& t : reader.tensors())
        CHECK(reader.read_bytes(t).size() == t.bytes());
    } catch (const lutra::error&) {}
  }
}

TEST_CASE("safetensors: the writer refuses what the reader would refuse") {
  test::temporary_directory dir;
  const std::vector<float> w{1.0F};
  const auto refused = [&](std::vector<tensor_bytes> tensors, errc code) {
    const auto e = error_of([&] { write_safetensors(dir.file("x"), tensors); });
    CHECK(e.code() == code);
    CHECK(dir.entries() == 0);
  };
  refused({tensor_of("w", {1}, w), tensor_of("w", {1}, w)}, errc::invalid_argument);
  refused({tensor_of("__metadata__", {1}, w)}, errc::invalid_argument);
  refused({tensor_of("w", {2}, w)}, errc::shape_mismatch);
  refused({tensor_of("\xff", {1}, w)}, errc::invalid_argument);
  refused({{"w", "F31", {1}, {}}}, errc::shape_mismatch);
}

TEST_CASE("safetensors: a full disk leaves the old file and no temporary one") {
  test::temporary_directory dir;
  const std::string path = dir.file("model");
  write_safetensors(path, {tensor_of("w", {1}, std::vector<float>{1.0F})});
  const test::bytes before = test::slurp(path);

  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::vector<float> big(10'000);
  const auto e = error_of([&] { write_safetensors(path, {tensor_of("w", {10'000}, big)}); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);

  CHECK_MESSAGE(e.code() == errc::io_error, test::text(e));
  CHECK(mentions(e, path));
  CHECK(test::slurp(path) == before);
  CHECK(dir.entries() == 1);
}

TEST_CASE("safetensors: paths that cannot be read or written are io errors") {
  test::temporary_directory dir;
  CHECK(error_of([&] { safetensors_reader r(dir.file("missing")); }).code() == errc::io_error);
  CHECK(error_of([&] { safetensors_reader r(dir.file(".")); }).code() == errc::io_error);
  const auto e = error_of([&] { write_safetensors(dir.file("no/such/folder"), {}); });
  CHECK(e.code() == errc::io_error);
  CHECK(mentions(e, "no/such/folder"));
}
