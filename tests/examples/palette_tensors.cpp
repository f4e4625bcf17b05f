#include <doctest/doctest.h>

#include <common/palette_tensors.hpp>
#include <lutra/core/random.hpp>
#include <lutra/palette/palettize.hpp>

#include "temporary_directory.hpp"

using lutra::dtype;
using lutra::errc;
using lutra::packed_palette;
using namespace lutra_examples;
using test::error_of;
using test::mentions;

namespace {

packed_palette make(const lutra::quantization_spec& lut, bool row_scale = false) {
  lutra::tensor<float> w({6, 7});
  lutra::random_stream random(3);
  for (float& x : w.elements()) x = static_cast<float>(random.normal());
  return lutra::pack(
      lutra::palettize(w, {.n_bits = 3,
                           .lut_qspec = lut,
                           .granularity = lutra::granularity::per_grouped_channel(4, 0),
                           .enable_per_channel_scale = row_scale}));
}

// A file with one palette named "w", its tensors and metadata changed by `change`.
template <class F>
void write_changed(const std::string& path, const packed_palette& p, F&& change) {
  std::vector<tensor_bytes> tensors;
  std::map<std::string, std::string> metadata;
  add_palette("w", p, tensors, metadata);
  change(tensors, metadata);
  write_safetensors(path, tensors, metadata);
}

lutra::error palette_error(const std::string& path) {
  safetensors_reader reader(path);
  return error_of([&] { read_palette(reader, "w"); });
}

void drop(std::vector<tensor_bytes>& tensors, const std::string& name) {
  std::erase_if(tensors, [&](const tensor_bytes& t) { return t.name == name; });
}

}  // namespace

TEST_CASE("palette_tensors: every kind of table is read back as it was written") {
  test::temporary_directory dir;
  for (const lutra::quantization_spec& q :
       {lutra::quantization_spec(lutra::off), lutra::int8_symmetric,
        lutra::quantization_spec{.qscheme = lutra::qscheme::asymmetric},
        lutra::quantization_spec{.dtype = dtype::uint8},
        lutra::quantization_spec{.dtype = dtype::float8_e4m3fn},
        lutra::quantization_spec{.dtype = dtype::float8_e5m2}}) {
    for (const bool scaled : {false, true}) {
      const packed_palette p = make(q, scaled);
      write_changed(dir.file("w"), p, [](auto&, auto&) {});
      safetensors_reader reader(dir.file("w"));
      CHECK(palette_names(reader) == std::vector<std::string>{"w"});
      CHECK(read_palette(reader, "w") == p);
    }
  }
}

TEST_CASE("palette_tensors: outliers are read back, and checked") {
  test::temporary_directory dir;
  packed_palette p = make(lutra::int8_symmetric);
  p.outliers = {{3, 41}, {100.0F, -7.5F}};
  write_changed(dir.file("w"), p, [](auto&, auto&) {});
  safetensors_reader reader(dir.file("w"));
  CHECK(read_palette(reader, "w") == p);
  p.outliers.position[1] = 42;
  write_changed(dir.file("bad"), p, [](auto&, auto&) {});
  const lutra::error error = palette_error(dir.file("bad"));
  CHECK(error.code() == errc::corrupt_data);
  CHECK(mentions(error, "outlier position"));
  CHECK(mentions(error, "42"));
}

TEST_CASE("palette_tensors: several palettes and dense tensors share a file") {
  test::temporary_directory dir;
  const packed_palette a = make(lutra::int8_symmetric);
  const packed_palette b = make(lutra::off);
  const std::vector<float> bias{1, 2};
  std::vector<tensor_bytes> tensors{tensor_of("bias", {2}, bias)};
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  add_palette("b", b, tensors, metadata);
  add_palette("a", a, tensors, metadata);
  write_safetensors(dir.file("x"), tensors, metadata);
  safetensors_reader reader(dir.file("x"));
  CHECK(palette_names(reader) == std::vector<std::string>{"a", "b"});
  CHECK(read_palette(reader, "a") == a);
  CHECK(read_palette(reader, "b") == b);
  CHECK(reader.read<float>("bias").elements() == bias);
  CHECK(reader.metadata().at("format") == "pt");
}

TEST_CASE("palette_tensors: a damaged file is refused by what is wrong") {
  test::temporary_directory dir;
  const std::string path = dir.file("w");
  const packed_palette p = make({.dtype = dtype::uint8}, true);
  using tensors = std::vector<tensor_bytes>&;
  using text = std::map<std::string, std::string>&;
  const auto refuse = [&](auto&& change, errc code, const char* part) {
    write_changed(path, p, change);
    const lutra::error e = palette_error(path);
    CAPTURE(e.what());
    CHECK(e.code() == code);
    CHECK(mentions(e, part));
  };
  const auto form = [](const char* json) {
    return [json](tensors, text m) { m["lutra.palette.w"] = json; };
  };
  refuse([](tensors, text m) { m["lutra.schema"] = "2"; }, errc::unsupported, "schema");
  refuse([](tensors, text m) { m.erase("lutra.schema"); }, errc::unsupported, "none");
  refuse([](tensors, text m) { m.erase("lutra.palette.w"); }, errc::invalid_argument, "'w'");
  refuse(form("{"), errc::corrupt_data, "JSON object");
  refuse(form("[1]"), errc::corrupt_data, "JSON object");
  refuse(form("{}"), errc::corrupt_data, "shape");
  refuse(form(R"({"shape":[6,7.5],"block":[4,7],"n_bits":3})"), errc::corrupt_data, "integer");
  refuse(form(R"({"shape":[6,7],"block":[4,7]})"), errc::corrupt_data, "n_bits");
  refuse(form(R"({"shape":[6,7],"block":[4,7],"n_bits":99})"), errc::corrupt_data, "n_bits");
  refuse(form(R"({"shape":[6,7],"block":[4],"n_bits":3})"), errc::corrupt_data, "block rank");
  refuse(form(R"({"shape":[6,7],"block":[1,7],"n_bits":3})"), errc::corrupt_data, "table codes");
  refuse(form(R"({"shape":[6,9],"block":[4,9],"n_bits":3})"), errc::corrupt_data, "code stream");
  refuse([](tensors t, text) { drop(t, "w.codes"); }, errc::invalid_argument, "w.codes");
  refuse([](tensors t, text) { drop(t, "w.lut"); }, errc::invalid_argument, "w.lut");
  refuse([](tensors t, text) { drop(t, "w.scale"); }, errc::invalid_argument, "w.scale");
  refuse(
      [](tensors t, text) {
        std::erase_if(t, [](auto& x) { return x.name == "w.scale"; });
        static const std::vector<float> one{1.0F};
        t.push_back(tensor_of("w.scale", {1}, one));
      },
      errc::corrupt_data, "scales");
}
