// palettize_file IN.safetensors OUT.safetensors: compresses the weights of any safetensors file.
//
// Tensors whose whole name matches a pattern and that have at least --min-rank axes become palettes
// (common/palette_tensors.hpp); every other tensor is copied bit by bit. A matching tensor that cannot
// be compressed is copied and reported as SKIPPED; with --strict that is an error and nothing is
// written.
#include <CLI/CLI.hpp>
#include <common/palette_tensors.hpp>
#include <filesystem>
#include <iostream>
#include <lutra/graph/name_pattern.hpp>
#include <lutra/palette/palettize.hpp>
#include <optional>

#ifdef LUTRA_EXAMPLES_TBB
#include <lutra/core/executor_tbb.hpp>
#endif

#include "report.hpp"

namespace palettize_file {

struct settings {
  std::string input, output;
  std::vector<std::string> patterns{".*weight"};
  std::vector<std::string> excluded;
  int min_rank = 2;
  int bits = 4;
  lutra::index_t group_size = 0;  // 0: one table per tensor
  int axis = 0;
  std::string lut = "int8";
  std::string lut_scheme = "symmetric_with_clipping";
  bool per_channel_scale = false;
  std::string mode = "certified";
  int threads = 1;
  bool strict = false;
};

const std::map<std::string, lutra::qscheme> schemes{
    {"symmetric", lutra::qscheme::symmetric},
    {"symmetric_with_clipping", lutra::qscheme::symmetric_with_clipping},
    {"asymmetric", lutra::qscheme::asymmetric}};
const std::map<std::string, lutra::palettize_mode> modes{
    {"certified", lutra::palettize_mode::certified},
    {"exact", lutra::palettize_mode::exact},
    {"reference_fast", lutra::palettize_mode::reference_fast}};

void add_options(CLI::App& app, settings& s) {
  app.add_option("input", s.input, "safetensors file to read")->required();
  app.add_option("output", s.output, "safetensors file to write")->required();
  app.add_option("-t,--tensors", s.patterns, "regular expressions on whole tensor names")
      ->capture_default_str();
  app.add_option("-x,--exclude", s.excluded, "names that match stay dense");
  app.add_option("--min-rank", s.min_rank, "tensors with fewer axes stay dense")
      ->capture_default_str();
  app.add_option("-b,--bits", s.bits, "bits per index")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("-g,--group-size", s.group_size, "channels per table, 0: one table per tensor")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--axis", s.axis, "axis of the channels")->capture_default_str();
  app.add_option("--lut", s.lut, "type of the tables")
      ->check(CLI::IsMember({"float32", "int8", "uint8", "float8_e4m3fn", "float8_e5m2"}))
      ->capture_default_str();
  app.add_option("--lut-scheme", s.lut_scheme, "quantization scheme of integer tables")
      ->check(CLI::IsMember(schemes))
      ->capture_default_str();
  app.add_flag("--per-channel-scale", s.per_channel_scale, "normalise every row first");
  app.add_option("--mode", s.mode, "clustering")
      ->check(CLI::IsMember(modes))
      ->capture_default_str();
  app.add_option("--threads", s.threads, "worker threads")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--strict", s.strict, "a skipped tensor is an error");
}

lutra::palettization_spec spec_of(const settings& s) {
  lutra::palettization_spec spec{.n_bits = s.bits, .enable_per_channel_scale = s.per_channel_scale};
  if (s.group_size > 0) {
    spec.granularity = lutra::granularity::per_grouped_channel(s.group_size, s.axis);
  }
  if (s.lut != "float32") {
    const lutra::dtype type = lutra::parse_dtype(s.lut);
    spec.lut_qspec = {
        .dtype = type,
        .qscheme = lutra::is_integer(type) ? schemes.at(s.lut_scheme) : lutra::qscheme::symmetric};
  }
  lutra::check(spec, "command line");
  return spec;
}

// Everything one run needs and produces.
class compressor {
 public:
  explicit compressor(const settings& s) : settings_(s), spec_(spec_of(s)), file_(s.input) {
    for (const std::string& p : s.patterns) patterns_.emplace_back(p);
    for (const std::string& p : s.excluded) excluded_.emplace_back(p);
  }

  std::vector<record> run() {
    std::vector<record> records;
    for (const tensor_entry& t : file_.tensors()) {
      record r{.name = t.name, .dtype = t.dtype, .extents = t.extents};
      r.bytes_before = r.bytes_after = static_cast<lutra::index_t>(t.bytes());
      r.reason = reason_to_stay_dense(t);
      if (r.reason.empty()) compress(t, r);
      if (r.result != outcome::compressed) dense_.push_back({t, file_.read_bytes(t)});
      records.push_back(std::move(r));
    }
    return records;
  }

  void write() const {
    std::vector<tensor_bytes> tensors;
    std::map<std::string, std::string> metadata = file_.metadata();
    for (const auto& [entry, bytes] : dense_) {
      tensors.push_back({entry.name, entry.dtype, entry.extents, bytes});
    }
    for (const auto& [name, p] : palettes_) add_palette(name, p, tensors, metadata);
    write_safetensors(settings_.output, std::move(tensors), metadata);
  }

 private:
  using tensor_entry = lutra_examples::tensor_entry;
  using tensor_bytes = lutra_examples::tensor_bytes;

  std::string reason_to_stay_dense(const tensor_entry& t) const {
    const auto matches = [&](const lutra::name_pattern& p) { return p.matches(t.name); };
    if (std::ranges::none_of(patterns_, matches)) return "name not selected";
    if (std::ranges::any_of(excluded_, matches)) return "name excluded";
    if (t.extents.rank() < settings_.min_rank) return "rank below --min-rank";
    return {};
  }

  void compress(const tensor_entry& t, record& r) {
    try {
      if (t.dtype == "F32") {
        compress_as<float>(t, r);
      } else if (t.dtype == "F16") {
        compress_as<lutra::half>(t, r);
      } else if (t.dtype == "BF16") {
        compress_as<lutra::bfloat16>(t, r);
      } else {
        r.result = outcome::skipped;
        r.reason = "dtype " + t.dtype + " is not F32, F16 or BF16";
      }
    } catch (const lutra::error& e) {
      // A weight that cannot be a palette is reported; a file that cannot be read ends the program.
      if (e.code() == lutra::errc::io_error) throw;
      r.result = outcome::skipped;
      r.reason = e.problem() + (e.value().empty() ? "" : " (" + e.value() + ")");
    }
  }

  template <class E> void compress_as(const tensor_entry& t, record& r) {
    const lutra::tensor<E> weight = file_.read<E>(t.name);
    const lutra::palettize_options options{.mode = modes.at(settings_.mode), .where = t.name};
    const lutra::palette<float> p = palettize(weight, options);
    for (const E& x : weight.elements()) {
      const auto wide = static_cast<double>(static_cast<float>(x));
      r.signal += wide * wide;
    }
    for (const double e : p.error) r.noise += e;
    for (const int c : p.collapsed_entries) r.collapsed += c;
    r.groups = p.groups().count();
    lutra::packed_palette packed = lutra::pack(p);
    if (packed.bytes() >= r.bytes_before) {
      r.reason = "a palette would not be smaller";
      return;
    }
    r.bytes_after = packed.bytes();
    r.result = outcome::compressed;
    palettes_.emplace(t.name, std::move(packed));
  }

  template <class W>
  lutra::palette<float> palettize(const W& weight, const lutra::palettize_options& options) const {
#ifdef LUTRA_EXAMPLES_TBB
    if (settings_.threads > 1) {
      return lutra::palettize(weight, spec_, options, lutra::tbb_executor(settings_.threads));
    }
#endif
    return lutra::palettize(weight, spec_, options);
  }

  const settings& settings_;
  lutra::palettization_spec spec_;
  lutra_examples::safetensors_reader file_;
  std::vector<lutra::name_pattern> patterns_, excluded_;
  std::vector<std::pair<tensor_entry, std::vector<std::uint8_t>>> dense_;
  std::map<std::string, lutra::packed_palette> palettes_;
};

int run(const settings& s) {
  std::error_code ignored;
  if (std::filesystem::equivalent(s.input, s.output, ignored)) {
    lutra::raise(lutra::errc::invalid_argument, "output would replace the input", "palettize_file",
                 s.output);
  }
#ifndef LUTRA_EXAMPLES_TBB
  if (s.threads > 1) std::cerr << "palettize_file: built without oneTBB, using one thread\n";
#endif
  compressor work(s);
  const std::vector<record> records = work.run();
  print_table(records);
  const auto count = [&](outcome o) {
    return std::ranges::count(records, o, [](const record& r) { return r.result; });
  };
  if (s.strict && count(outcome::skipped) > 0) {
    std::cerr << "palettize_file: " << count(outcome::skipped)
              << " selected tensor(s) skipped, --strict: nothing written\n";
    return 1;
  }
  if (count(outcome::compressed) == 0) {
    std::cerr << "palettize_file: no tensor was compressed, nothing written (see --tensors)\n";
    return 1;
  }
  work.write();
  return 0;
}

}  // namespace palettize_file

int main(int argc, char** argv) {
  CLI::App app{"Compresses the weights of a safetensors file to look-up tables and indices."};
  palettize_file::settings settings;
  palettize_file::add_options(app, settings);
  CLI11_PARSE(app, argc, argv);
  try {
    return palettize_file::run(settings);
  } catch (const std::exception& e) {
    std::cerr << "palettize_file: " << e.what() << '\n';
    return 1;
  }
}
