// Runs the cases of palettization.json with scope scalar; the others are reported as out of scope.
//
// fast true or unstated is palettize_mode::reference_fast, fast false is exact. Tables must agree to
// one unit in the last place of the weight's type (or the case's tolerance), codes exactly, errors to
// 1e-6 relative. Quirk cases are compared twice: with the better behaviour, and, in mode reference_exact, with the
// reference's.
#include <cmath>
#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <nlohmann/json.hpp>

#include "report.hpp"

namespace {

using nlohmann::json;
using numbers = std::vector<double>;

// What went wrong in one case: first difference only.
struct difference {
  std::string expected, got;
};
using outcome = std::optional<difference>;

void flatten(const json& x, numbers& out) {
  if (x.is_array()) {
    for (const json& e : x) flatten(e, out);
  } else {
    out.push_back(x.get<double>());
  }
}
numbers flat(const json& x) {
  numbers out;
  flatten(x, out);
  return out;
}
numbers flat_f32(const json& x) {
  numbers out = flat(x);
  for (double& v : out) v = static_cast<double>(static_cast<float>(v));
  return out;
}
lutra::shape shape_of(const json& x) {
  std::vector<lutra::index_t> extents;
  for (const json* level = &x; level->is_array(); level = &level->front()) {
    extents.push_back(static_cast<lutra::index_t>(level->size()));
  }
  return lutra::shape(std::span<const lutra::index_t>(extents));
}
template <class T> std::string text(const std::vector<T>& xs) {
  return lutra::text_of(std::span<const T>(xs));
}
template <class T> numbers wide(const std::vector<T>& xs) { return {xs.begin(), xs.end()}; }

outcome compare(const char* what, const numbers& expected, const numbers& got, double tolerance) {
  bool same = expected.size() == got.size();
  for (std::size_t i = 0; same && i < expected.size(); ++i) {
    same = std::fabs(expected[i] - got[i]) <= tolerance;
  }
  if (same) return {};
  return difference{std::string(what) + " " + text(expected), text(got)};
}

// Position of x among the values of E, for distances in units of the last place.
template <class E> std::int64_t ordinal(double x) {
  const auto f = static_cast<float>(x);
  std::int64_t bits = 0;
  if constexpr (std::floating_point<E>) {
    bits = std::bit_cast<std::int32_t>(f);
    return bits < 0 ? std::int64_t{INT32_MIN} - bits : bits;
  } else {
    bits = static_cast<std::int16_t>(E(f).bits);
    return bits < 0 ? std::int64_t{INT16_MIN} - bits : bits;
  }
}
template <class E>
outcome compare_ulp(const char* what, const numbers& expected, const numbers& got) {
  bool same = expected.size() == got.size();
  for (std::size_t i = 0; same && i < expected.size(); ++i) {
    same = std::abs(ordinal<E>(expected[i]) - ordinal<E>(got[i])) <= 1;
  }
  if (same) return {};
  return difference{std::string(what) + " " + text(expected), text(got)};
}

lutra::quantization_spec lut_spec(const std::string& name) {
  const std::size_t slash = name.find('/');
  const std::string type = name.substr(0, slash);
  const std::string scheme = name.substr(slash + 1);
  lutra::quantization_spec s;
  s.dtype = type == "e4m3fn" ? lutra::dtype::float8_e4m3fn
            : type == "e5m2" ? lutra::dtype::float8_e5m2
                             : lutra::parse_dtype(type);
  s.qscheme = scheme == "asymmetric"                ? lutra::qscheme::asymmetric
              : scheme == "symmetric_with_clipping" ? lutra::qscheme::symmetric_with_clipping
                                                    : lutra::qscheme::symmetric;
  return s;
}

lutra::palettization_spec spec_of(const json& spec) {
  lutra::palettization_spec s;
  s.n_bits = spec.value("n_bits", 4);
  s.short_groups = lutra::short_groups::forbid;
  s.enable_per_channel_scale = spec.value("per_channel_scale", false);
  if (spec.contains("granularity") && spec["granularity"].is_object()) {
    s.granularity = lutra::granularity::per_grouped_channel(spec["granularity"]["group_size"],
                                                            spec["granularity"]["axis"].get<int>());
  }
  if (spec.contains("lut") && spec["lut"].is_string()) s.lut_qspec = lut_spec(spec["lut"]);
  return s;
}

struct palettize_case {
  lutra::shape shape{0};
  numbers weights;
  numbers sensitivities;  // empty: none
  lutra::palettization_spec spec;
  lutra::palettize_mode mode = lutra::palettize_mode::reference_fast;
  int rounding = 4;
};

template <class E> lutra::palette<float> palettize_as(const palettize_case& c) {
  std::vector<E> elements;
  for (const double w : c.weights) elements.push_back(E(static_cast<float>(w)));
  const lutra::tensor_view<const E> weight(elements.data(), c.shape);
  const std::vector<float> importance(c.sensitivities.begin(), c.sensitivities.end());
  lutra::palettize_options options{.mode = c.mode, .rounding_precision = c.rounding};
  options.scale_squared_importance = false;  // as the reference
  if (!importance.empty()) options.importance = {importance.data(), c.shape};
  return lutra::palettize(weight, c.spec, options);
}

// The values a quantized table stands for before its scale: integers, or decoded float8.
numbers quantized_values(const lutra::palette<float>& p) {
  numbers out;
  for (const std::uint8_t code : p.lut_codes) {
    out.push_back(static_cast<double>(lutra::lut_value({p.lut_dtype, 1.0F, 0}, code)));
  }
  return out;
}

template <class E> double sum_of_squares(const palettize_case& c, const lutra::palette<float>& p) {
  const auto dense = lutra::restore(lutra::pack(p));
  double sum = 0;
  for (std::size_t i = 0; i < c.weights.size(); ++i) {
    const auto w = static_cast<double>(static_cast<float>(E(static_cast<float>(c.weights[i]))));
    const double d = w - static_cast<double>(dense[static_cast<lutra::index_t>(i)]);
    sum += d * d;
  }
  return sum;
}

numbers fused_scale(const lutra::palette<float>& p) {
  numbers out;
  const lutra::index_t rows = p.weight_shape[0];
  const lutra::block_grid grid = p.groups();
  for (lutra::index_t r = 0; r < rows; ++r) {
    for (lutra::index_t g = 0; g < grid.grid()[1]; ++g) {
      const lutra::index_t group = r / p.block[0] * grid.grid()[1] + g;
      out.push_back(static_cast<double>(p.scale[static_cast<std::size_t>(group)] *
                                        p.row_scale[static_cast<std::size_t>(r)]));
    }
  }
  return out;
}

numbers zero_points(const lutra::palette<float>& p, std::size_t expected_count) {
  numbers per_group = wide(p.zero_point);
  if (expected_count == per_group.size()) return per_group;
  numbers out;  // the exported form repeats them for every row
  const lutra::block_grid grid = p.groups();
  for (lutra::index_t r = 0; r < p.weight_shape[0]; ++r) {
    for (lutra::index_t g = 0; g < grid.grid()[1]; ++g) {
      out.push_back(per_group[static_cast<std::size_t>(r / p.block[0] * grid.grid()[1] + g)]);
    }
  }
  return out;
}

outcome check_shape(const std::string& key, const json& value, const lutra::palette<float>& p) {
  lutra::index_t count = 1;
  for (const json& e : value) count *= e.get<lutra::index_t>();
  lutra::index_t got = static_cast<lutra::index_t>(p.lut.size());
  if (key == "per_channel_scale_shape") got = static_cast<lutra::index_t>(p.row_scale.size());
  if (key == "scale_shape") got = static_cast<lutra::index_t>(p.scale.size());
  if (key == "fused_scale_shape") got = static_cast<lutra::index_t>(fused_scale(p).size());
  if (count == got) return {};
  return difference{key + " " + value.dump(), lutra::text_of(got) + " elements"};
}

// Keys that explain a case rather than state a result.
bool is_remark(const std::string& key) {
  return key == "test_bound" || key == "tolerance" || key == "recon" || key == "note" ||
         key == "max_abs_diff_export_vs_prepared";
}

template <class E>
outcome check_key(const std::string& key, const json& value, const palettize_case& c,
                  const lutra::palette<float>& p, double tolerance) {
  if (is_remark(key)) return {};
  if (key.ends_with("_shape")) return check_shape(key, value, p);
  if (key == "indices" || key == "indices_flat")
    return compare("codes", flat(value), wide(p.codes), 0);
  if (key == "quantized_lut" || key == "export_lut") {
    return compare("quantized table", flat(value), quantized_values(p), 0);
  }
  if (key == "zero_point") {
    const numbers expected = value.is_null() ? numbers{} : flat(value);
    return compare("zero point", expected, zero_points(p, expected.size()), 0);
  }
  if (key == "lut") {
    if (tolerance > 0) return compare("table", flat_f32(value), wide(p.lut), tolerance);
    return compare_ulp<E>("table", flat_f32(value), wide(p.lut));
  }
  if (key == "scale") return compare("scale", flat_f32(value), wide(p.scale), 0);
  if (key == "fused_scale") return compare("fused scale", flat_f32(value), fused_scale(p), 0);
  if (key == "per_channel_scale") {
    return compare("per-channel scale", flat_f32(value), wide(p.row_scale), 0);
  }
  if (key == "sse" || key == "mse") {
    const double expected = value.get<double>();
    double got = sum_of_squares<E>(c, p);
    if (key == "mse") got /= static_cast<double>(c.weights.size());
    return compare(key.c_str(), {expected}, {got}, 1e-6 * expected);
  }
  return difference{"a known key", "'" + key + "'"};
}

template <class E> outcome check_all(const json& expect, const palettize_case& c) {
  const lutra::palette<float> p = palettize_as<E>(c);
  for (const auto& [key, value] : expect.items()) {
    if (auto d = check_key<E>(key, value, c, p, expect.value("tolerance", 0.0))) return d;
  }
  return {};
}

outcome check_types(const std::string& dtypes, const json& expect, const palettize_case& c) {
  outcome d;
  if (dtypes.find("f32") != std::string::npos) d = check_all<float>(expect, c);
  if (!d && dtypes.find("f64") != std::string::npos) d = check_all<double>(expect, c);
  if (!d && dtypes.find("bf16") != std::string::npos) d = check_all<lutra::bfloat16>(expect, c);
  if (!d && (dtypes.starts_with("f16") || dtypes.find("|f16") != std::string::npos)) {
    d = check_all<lutra::half>(expect, c);
  }
  return d;
}

palettize_case case_of(const json& input) {
  palettize_case c;
  c.shape = shape_of(input.at("weights"));
  c.weights = flat_f32(input.at("weights"));
  if (input.contains("sensitivities")) c.sensitivities = flat_f32(input["sensitivities"]);
  c.spec = spec_of(input.at("spec"));
  if (!input.value("fast", true)) c.mode = lutra::palettize_mode::exact;
  c.rounding = input.value("rounding", 4);
  return c;
}

// Deterministic weights of a formula, with several settings.
outcome run_sine(const json& expect) {
  palettize_case base;
  base.shape = {4, 6};
  for (int i = 0; i < 24; ++i) {
    base.weights.push_back(static_cast<double>(static_cast<float>(0.5 * std::sin(0.7 * i + 0.3))));
  }
  base.spec.short_groups = lutra::short_groups::forbid;
  for (const auto& [name, values] : expect.items()) {
    palettize_case c = base;
    c.spec.n_bits = name.front() - '0';
    if (name.find("exact") != std::string::npos) c.mode = lutra::palettize_mode::exact;
    if (name.find("axis0 gs2") != std::string::npos) {
      c.spec.granularity = lutra::granularity::per_grouped_channel(2, 0);
    }
    if (name.find("axis1 gs3") != std::string::npos) {
      c.spec.granularity = lutra::granularity::per_grouped_channel(3, 1);
    }
    if (name.find("int8 sym") != std::string::npos) c.spec.lut_qspec = lutra::int8_symmetric;
    if (name.find("pcs") != std::string::npos) c.spec.enable_per_channel_scale = true;
    if (name.find("rounding=2") != std::string::npos) c.rounding = 2;
    if (auto d = check_all<float>(values, c)) {
      d->expected = name + ": " + d->expected;
      return d;
    }
  }
  return {};
}

outcome run_palettize(const json& c) {
  const json& input = c.at("input");
  if (input.contains("formula")) return run_sine(c.at("expect"));
  palettize_case one = case_of(input);
  json expect = c.at("expect");
  if (c.value("quirk", false)) {  // the canonical table instead of zeros in the low entries
    palettize_case compat = one;
    compat.mode = lutra::palettize_mode::reference_exact;
    if (auto d = check_types(input.value("dtype", "f32"), expect, compat)) return d;
    expect = {{"lut", {1, 2, 2, 2}}, {"indices", {{0, 0, 1}, {1, 0, 1}}}, {"mse", 0}};
  }
  if (expect.contains("unweighted_lut")) {
    palettize_case plain = one;
    plain.sensitivities.clear();
    if (auto d = check_all<float>({{"lut", expect["unweighted_lut"]}}, plain)) return d;
    expect.erase("unweighted_lut");
  }
  if (expect.contains("lut_exact")) {
    palettize_case exact = one;
    exact.mode = lutra::palettize_mode::exact;
    if (auto d = check_all<float>({{"lut", expect["lut_exact"]}}, exact)) return d;
    expect["lut"] = expect["lut_fast"];
    expect.erase("lut_exact");
    expect.erase("lut_fast");
  }
  return check_types(input.value("dtype", "f32"), expect, one);
}

outcome run_fast_reduce(const json& c) {
  const json& input = c.at("input");
  const json& expect = c.at("expect");
  const float factor = lutra::power_of_ten(input.at("rounding").get<int>());
  numbers reduced;
  for (const double w : flat_f32(input.at("weights"))) {
    reduced.push_back(lutra::reduced_value(static_cast<float>(w), factor));
  }
  numbers unique = reduced;
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  numbers inverse, counts(unique.size());
  for (const double r : reduced) {
    inverse.push_back(
        static_cast<double>(std::find(unique.begin(), unique.end(), r) - unique.begin()));
    counts[static_cast<std::size_t>(inverse.back())] += 1;
  }
  auto d = compare("values", flat_f32(expect.at("values_f32")), unique, 0);
  if (!d) d = compare("inverse", flat(expect.at("inverse")), inverse, 0);
  if (!d) d = compare("counts", flat(expect.at("counts")), counts, 0);
  return d;
}

// Group sizes that divide their axis work, others are errc::incompatible; a missing axis is an error.
outcome run_divisibility(const json& c) {
  const auto attempt = [](const json& entry) -> std::string {
    std::vector<lutra::index_t> extents = entry.at(0).get<std::vector<lutra::index_t>>();
    const lutra::shape s{std::span<const lutra::index_t>(extents)};
    std::vector<float> w;
    for (lutra::index_t i = 0; i < s.size(); ++i) w.push_back(static_cast<float>(i % 5));
    lutra::palettization_spec spec{.n_bits = 2, .short_groups = lutra::short_groups::forbid};
    try {
      spec.granularity =
          lutra::granularity::per_grouped_channel(entry.at(2).get<int>(), entry.at(1).get<int>());
      const auto p = lutra::palettize(lutra::tensor_view<const float>(w.data(), s), spec);
      const auto blocks = s[entry.at(1).get<int>()] / entry.at(2).get<lutra::index_t>();
      return static_cast<lutra::index_t>(p.lut.size()) == blocks * 4 ? "ok" : "wrong table size";
    } catch (const lutra::error& e) {
      return std::string(lutra::name_of(e.code()));
    }
  };
  const json& input = c.at("input");
  for (const json& e : input.at("ok")) {
    if (attempt(e) != "ok") return difference{"ok for " + e.dump(), attempt(e)};
  }
  for (const json& e : input.at("bad")) {
    if (attempt(e) != "incompatible") return difference{"incompatible for " + e.dump(), attempt(e)};
  }
  const json& few = input.at("too_few_dims");
  if (attempt(few) != "invalid_argument")
    return difference{"an error for " + few.dump(), attempt(few)};
  return {};
}

// A group of one channel covers the elements of one row (axis 0) or column (axis 1) of the matrix the
// reference reshapes to; the groups cover every element once.
outcome run_reshape(const json& c) {
  const json& shapes = c.at("input").at("shapes");
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto extents = shapes[i].get<std::vector<lutra::index_t>>();
    const lutra::shape s{std::span<const lutra::index_t>(extents)};
    for (const int axis : {0, 1}) {
      const lutra::block_grid grid =
          lutra::grid_of(lutra::granularity::per_grouped_channel(1, axis), s, "reshape");
      std::vector<int> seen(static_cast<std::size_t>(s.size()));
      numbers got = {static_cast<double>(grid.count()), 0};
      for (lutra::index_t g = 0; g < grid.count(); ++g) {
        lutra::index_t size = 0;
        grid.for_each_run_of(g, [&](lutra::index_t first, lutra::index_t length) {
          size += length;
          for (lutra::index_t k = first; k < first + length; ++k)
            ++seen[static_cast<std::size_t>(k)];
        });
        got[1] = static_cast<double>(size);
      }
      if (axis == 1) std::swap(got[0], got[1]);
      const json& expected = c.at("expect").at(axis == 0 ? "axis0" : "axis1")[i];
      if (auto d = compare("matrix", flat(expected), got, 0)) return d;
      if (std::any_of(seen.begin(), seen.end(), [](int n) { return n != 1; })) {
        return difference{"every element in one group", "not for " + shapes[i].dump()};
      }
    }
  }
  return {};
}

outcome check_solver(const numbers& x, const numbers& w, int k, const json& clusters,
                     const json& centroids, double tolerance) {
  const lutra::exact_1d_result r = lutra::exact_1d(std::span<const double>(x), w, k);
  auto d = compare("clusters", flat(clusters), wide(r.codes), 0);
  if (!d && !centroids.is_null()) {
    d = compare("centroids", flat(centroids), r.centroids, tolerance);
  }
  return d;
}

outcome run_kmeans1d(const json& c) {
  const json& input = c.at("input");
  const json& expect = c.at("expect");
  if (!input.contains("cases")) {
    const numbers x = flat(input.at("x"));
    const numbers w = flat(input.at("w"));
    const int k = input.at("k").get<int>();
    if (expect.contains("clusters")) {
      return check_solver(x, w, k, expect["clusters"], expect["centroids"], 1e-9);
    }
    auto d = check_solver(x, {}, k, expect.at("unweighted_clusters"), {}, 0);
    if (!d) {
      d = check_solver(x, w, k, expect.at("weighted_clusters"), expect.at("weighted_centroids"),
                       1e-9);
    }
    const double sse = lutra::exact_1d(std::span<const double>(x), w, k).inertia;
    if (!d) d = compare("sse", {expect.at("weighted_sse").get<double>()}, {sse}, 1e-9);
    return d;
  }
  for (std::size_t i = 0; i < input["cases"].size(); ++i) {
    const numbers x = flat(input["cases"][i][0]);
    const int k = input["cases"][i][1].get<int>();
    const json& clusters = expect.at("clusters")[i];
    const json& centroids = expect.at("centroids")[i];
    if (!c.value("quirk", false)) {
      if (auto d = check_solver(x, {}, k, clusters, centroids, 1e-12)) return d;
      continue;
    }
    // The reference's solver numbers the used clusters last; ours has no unused ones.
    const lutra::reference_1d_result r = lutra::reference_1d(x, {}, k);
    if (auto d = compare("clusters", flat(clusters), wide(r.codes), 0)) return d;
    if (auto d = compare("centroids", flat(centroids), r.centroids, 0)) return d;
    const lutra::exact_1d_result exact = lutra::exact_1d(std::span<const double>(x), {}, k);
    numbers distinct = x;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    if (auto d = compare("canonical centroids", distinct, exact.centroids, 0)) return d;
  }
  return {};
}

outcome check_packing(const json& values, int bits, const json& bytes) {
  std::vector<std::uint8_t> codes;
  const int mask = (1 << bits) - 1;
  for (const json& v : values) codes.push_back(static_cast<std::uint8_t>(v.get<int>() & mask));
  std::vector<std::uint8_t> packed(
      static_cast<std::size_t>(lutra::packed_bytes(std::ssize(codes), bits)));
  lutra::pack_bits(codes, bits, packed);
  if (auto d = compare("bytes", flat(bytes), wide(packed), 0)) return d;
  std::vector<std::uint8_t> back(codes.size());
  lutra::unpack_bits(packed, bits, back);
  return compare("unpacked", wide(codes), wide(back), 0);
}

outcome run_pack(const json& c) {
  const json& input = c.at("input");
  const json& expect = c.at("expect");
  if (input.contains("values")) {
    return check_packing(input["values"], input.at("nbits").get<int>(), expect.at("bytes"));
  }
  for (const auto& [name, values] : input.items()) {  // the first digit of the name is the width
    const int bits = name[name.find_first_of("0123456789")] - '0';
    if (auto d = check_packing(values, bits, expect.at(name))) return d;
  }
  return {};
}

outcome run_lut_to_dense(const json& c) {
  const json& input = c.at("input");
  const lutra::shape s = shape_of(input.at("indices"));
  const auto lut_shape = input.at("lut_shape").get<std::vector<lutra::index_t>>();
  lutra::packed_palette p;
  p.weight_shape = s;
  std::vector<lutra::index_t> block;
  for (int i = 0; i < s.rank(); ++i) block.push_back(s[i] / lut_shape[static_cast<std::size_t>(i)]);
  p.block = lutra::shape(std::span<const lutra::index_t>(block));
  p.n_bits = lut_shape[static_cast<std::size_t>(s.rank())] == 2 ? 1 : 2;
  p.lut_dtype = lutra::dtype::float32;
  for (const double v : flat(input.at("lut"))) p.lut.push_back(static_cast<float>(v));
  std::vector<std::uint8_t> codes;
  for (const double v : flat(input.at("indices"))) codes.push_back(static_cast<std::uint8_t>(v));
  p.codes.resize(static_cast<std::size_t>(lutra::packed_bytes(s.size(), p.n_bits)));
  lutra::pack_bits(codes, p.n_bits, p.codes);
  return compare("dense", flat(c.at("expect").at("dense")), wide(lutra::restore(p).elements()), 0);
}

// Bytes of a palettized layer: codes plus one table of float32.
double layer_bytes(lutra::index_t weights, int bits) {
  lutra::packed_palette p;
  p.weight_shape = {weights};
  p.block = {weights};
  p.n_bits = bits;
  p.lut_dtype = lutra::dtype::float32;
  p.codes.resize(static_cast<std::size_t>(lutra::packed_bytes(weights, bits)));
  p.lut.resize(static_cast<std::size_t>(p.entries()));
  return static_cast<double>(p.bytes());
}

outcome run_size(const json& c) {
  const json& input = c.at("input");
  const json& expect = c.at("expect");
  const auto weights = input.at("weights").get<double>();
  double six = 0;
  double two = 0;
  for (const json& n : input.at("layers_6bit")) six += n.get<double>();
  for (const json& n : input.at("layers_2bit")) two += n.get<double>();
  const double bits = 6 * six + 2 * two + 4 * (weights - six - two);
  const double mib = 1024.0 * 1024.0;
  auto d = compare("bits per weight", {expect.at("bpw").get<double>()}, {bits / weights}, 1e-5);
  if (!d) {
    d = compare("MiB",
                {expect.at("uniform4_MiB").get<double>(), expect.at("fp16_MiB").get<double>()},
                {weights / 2 / mib, weights * 2 / mib}, 0.006);
  }
  const auto kib = [](lutra::index_t n, int b) { return layer_bytes(n, b) / 1024.0; };
  const auto check_layer = [&](const char* key, lutra::index_t n) {
    const json& e = expect.at(key);
    return compare(key,
                   {e.at("b2").get<double>(), e.at("b4").get<double>(), e.at("b6").get<double>()},
                   {kib(n, 2), kib(n, 4), kib(n, 6)}, 0.006);
  };
  if (!d) d = check_layer("conv1_KiB", input.at("layers_6bit")[0].get<lutra::index_t>());
  if (!d) d = check_layer("layer1_0_conv2_KiB", 36864);
  return d;
}

outcome run_one(const json& c) {
  const std::string kind = c.at("kind").get<std::string>();
  if (kind == "palettize" || kind == "export") return run_palettize(c);
  if (kind == "fast_reduce") return run_fast_reduce(c);
  if (kind == "error") return run_divisibility(c);
  if (kind == "reshape") return run_reshape(c);
  if (kind == "kmeans1d") return run_kmeans1d(c);
  if (kind == "pack") return run_pack(c);
  if (kind == "lut_to_dense") return run_lut_to_dense(c);
  if (kind == "size") return run_size(c);
  return difference{"a known kind of case", kind};
}

}  // namespace

void run_palettization(const json& file, conformance_report& report) {
  for (const json& c : file.at("cases")) {
    const auto id = c.at("id").get<std::string>();
    const auto scope = c.value("scope", "scalar");
    if (scope != "scalar") {
      report.out_of_scope(id, scope == "vector" ? "vector palettes" : "scope " + scope);
      continue;
    }
    try {
      if (const outcome d = run_one(c)) {
        report.fail(id, d->expected, d->got);
      } else {
        report.pass(id);
      }
    } catch (const lutra::error& e) {
      report.fail(id, "a result", e.what());
    } catch (const json::exception& e) {
      report.fail(id, "a case in the known form", e.what());
    }
  }
}
