// Runs the program examples/palettize_file and reads what it wrote.
#include <doctest/doctest.h>

#include <sys/wait.h>

#include <common/palette_tensors.hpp>
#include <cstdlib>
#include <limits>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include "temporary_directory.hpp"

using namespace lutra_examples;

namespace {

struct result {
  int code;
  std::string out, err;
};

std::string text_of(const std::string& path) {
  const test::bytes b = test::slurp(path);
  return {b.begin(), b.end()};
}

result run(const test::temporary_directory& dir, const std::string& arguments) {
  const std::string command = std::string(LUTRA_PROGRAM_palettize_file) + " " + arguments + " >" +
                              dir.file("out") + " 2>" + dir.file("err");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(dir.file("out")),
          text_of(dir.file("err"))};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string mnist = std::string(LUTRA_SOURCE_DIR) + "/examples/data/mnist_cnn.safetensors";

// A model with one weight of every type, and some that cannot be compressed.
void write_model(const std::string& path) {
  std::vector<float> w(64);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>((i * 29) % 37) - 18.0F;
  std::vector<float> broken = w;
  broken[9] = std::numeric_limits<float>::quiet_NaN();
  std::vector<lutra::half> h;
  std::vector<lutra::bfloat16> b;
  for (const float x : w) {
    h.emplace_back(x);
    b.emplace_back(x);
  }
  const std::vector<std::int64_t> ids(8, 5);
  write_safetensors(path,
                    {tensor_of("a.weight", {8, 8}, w), tensor_of("h.weight", {8, 8}, h),
                     tensor_of("b.weight", {8, 8}, b), tensor_of("nan.weight", {8, 8}, broken),
                     tensor_of("ids.weight", {2, 4}, ids), tensor_of("norm.weight", {64}, w),
                     tensor_of("a.bias", {64}, w)},
                    {{"format", "pt"}});
}

}  // namespace

TEST_CASE("palettize_file: compresses the MNIST model as the library does") {
  test::temporary_directory dir;
  const std::string out = dir.file("small.safetensors");
  const result r = run(dir, mnist + " " + out);
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  CHECK(contains(r.out, "fc.weight"));
  CHECK(contains(r.out, "dense: name not selected"));
  CHECK(contains(r.out, "smaller"));
  safetensors_reader before(mnist);
  safetensors_reader after(out);
  CHECK(palette_names(after) == std::vector<std::string>{"conv1.weight", "fc.weight"});
  // Inertia published with the data.
  const std::map<std::string, double> inertia{{"conv1.weight", 0.105512335},
                                              {"fc.weight", 1.60188494}};
  for (const auto& [name, expected] : inertia) {
    const auto p = lutra::palettize(
        before.read<float>(name), {.n_bits = 4, .lut_qspec = lutra::int8_symmetric_with_clipping});
    CHECK(p.inertia[0] == doctest::Approx(expected).epsilon(1e-8));
    CHECK(read_palette(after, name) == lutra::pack(p));
  }
  for (const std::string name : {"conv1.bias", "fc.bias"}) {
    CHECK(after.read_bytes(after.at(name)) == before.read_bytes(before.at(name)));
  }
  CHECK(after.find("fc.weight") == nullptr);
}

TEST_CASE(
    "palettize_file: F32, F16 and BF16 weights; everything else stays bit by bit, with a reason") {
  test::temporary_directory dir;
  write_model(dir.file("in"));
  const result r = run(dir, dir.file("in") + " " + dir.file("small") + " --bits 3 --lut float32");
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  CHECK(contains(r.out, "SKIPPED: NaN or infinite values (1 of 64, first at position 9)"));
  CHECK(contains(r.out, "SKIPPED: dtype I64"));
  CHECK(contains(r.out, "rank below --min-rank"));
  safetensors_reader before(dir.file("in"));
  safetensors_reader after(dir.file("small"));
  CHECK(palette_names(after) == std::vector<std::string>{"a.weight", "b.weight", "h.weight"});
  CHECK(after.metadata().at("format") == "pt");
  for (const std::string name : {"nan.weight", "ids.weight", "norm.weight", "a.bias"}) {
    CHECK(after.read_bytes(after.at(name)) == before.read_bytes(before.at(name)));
  }
  const auto a = lutra::restore(read_palette(after, "a.weight"));
  CHECK(lutra::restore(read_palette(after, "h.weight")) == a);
  CHECK(lutra::restore(read_palette(after, "b.weight")) == a);
}

TEST_CASE("palettize_file: options reach the library") {
  test::temporary_directory dir;
  write_model(dir.file("in"));
  const result r =
      run(dir, dir.file("in") + " " + dir.file("small") +
                   " -t 'a.*' -x 'a[.]bias' -b 2 -g 3 --axis 1 --lut uint8 --lut-scheme asymmetric"
                   " --per-channel-scale --mode exact --min-rank 1 --threads 2");
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  CHECK(contains(r.out, "name excluded"));
  safetensors_reader before(dir.file("in"));
  safetensors_reader after(dir.file("small"));
  const auto p = lutra::palettize(
      before.read<float>("a.weight"),
      {.n_bits = 2,
       .lut_qspec = {.dtype = lutra::dtype::uint8, .qscheme = lutra::qscheme::asymmetric},
       .granularity = lutra::granularity::per_grouped_channel(3, 1),
       .enable_per_channel_scale = true});
  CHECK(read_palette(after, "a.weight") == lutra::pack(p));
}

TEST_CASE("palettize_file: a palette that saves nothing is not made") {
  test::temporary_directory dir;
  const std::vector<float> w{1, 2, 3, 4};
  write_safetensors(dir.file("in"), {tensor_of("weight", {2, 2}, w)});
  const result r = run(dir, dir.file("in") + " " + dir.file("small"));
  CHECK(r.code == 1);
  CHECK(contains(r.out, "a palette would not be smaller"));
  CHECK(contains(r.err, "no tensor was compressed"));
  CHECK(!std::filesystem::exists(dir.file("small")));
}

TEST_CASE("palettize_file: strict mode turns a skipped tensor into an error and writes nothing") {
  test::temporary_directory dir;
  write_model(dir.file("in"));
  const result r = run(dir, dir.file("in") + " " + dir.file("small") + " --bits 3 --strict");
  CHECK(r.code == 1);
  CHECK(contains(r.err, "2 selected tensor(s) skipped"));
  CHECK(!std::filesystem::exists(dir.file("small")));
  const result excluded = run(dir, dir.file("in") + " " + dir.file("small") +
                                       " --bits 3 --lut float32 --strict -x 'nan.*' 'ids.*'");
  CHECK(excluded.code == 0);
}

TEST_CASE("palettize_file: bad input gives a clear error and no file") {
  test::temporary_directory dir;
  test::dump(dir.file("text"), {'n', 'o'});
  const std::string out = " " + dir.file("small");
  const auto refuse = [&](const std::string& arguments, const std::string& part) {
    const result r = run(dir, arguments);
    CAPTURE(r.err);
    CHECK(r.code != 0);
    CHECK(contains(r.err, part));
    CHECK(!std::filesystem::exists(dir.file("small")));
  };
  refuse("", "input is required");
  refuse("/no/such/file" + out, "cannot open the file");
  refuse(dir.file("text") + out, "too short");
  refuse(mnist + out + " --bits 0", "--bits");
  refuse(mnist + out + " --lut int7", "--lut");
  refuse(mnist + out + " -t '(x'", "malformed name pattern");
  refuse(mnist + out + " --threads 0", "--threads");
  refuse(mnist + out + " -g -1", "--group-size");
  refuse(mnist + out + " -t nothing", "no tensor was compressed");
  refuse(mnist + " /no/such/dir/file", "cannot create a file");
  std::filesystem::copy_file(mnist, dir.file("copy"));
  const result same = run(dir, dir.file("copy") + " " + dir.file("copy"));
  CHECK(same.code != 0);
  CHECK(contains(same.err, "output would replace the input"));
  CHECK(test::slurp(dir.file("copy")) == test::slurp(mnist));
}
