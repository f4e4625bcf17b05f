// Runs the cases of quantization.json: all kinds, each by its rule.
//
// Values must be equal as float32 (-0 and 0 are the same); where a case states a tolerance the comparison
// is still exact, except for ratios. Kinds "qparams" and "quantize" go through a spec, so an absent scale_dtype
// of float4 means e8m0; kind "fake_quant" describes a calculator built by hand, where absent means a plain
// scale. Forms a C++ type cannot express (a float_range of three numbers) are refused by the reader in
// this file.
#include <cmath>
#include <functional>
#include <lutra/affine/program_pass.hpp>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/fake_quant/gradient.hpp>
#include <lutra/fake_quant/qat_schedule.hpp>
#include <lutra/graph/op.hpp>
#include <lutra/number/e8m0.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "report.hpp"

namespace {

using lutra::errc;
using lutra::index_t;
using lutra::view;
using nlohmann::json;
using numbers = std::vector<float>;

struct difference {
  std::string expected, got;
};
using outcome = std::optional<difference>;  // empty: passed

// ------------------------------------------------------------------------------------------ reading

float number(const json& x) { return static_cast<float>(x.get<double>()); }
numbers floats(const json& x) {
  numbers out;
  if (!x.is_array()) return {number(x)};
  for (const json& e : x) {
    const numbers inner = floats(e);
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}
numbers floats_of_bits(const json& x) {
  numbers out;
  for (const json& e : x) {
    const auto bits = static_cast<std::uint32_t>(std::stoul(e.get<std::string>(), nullptr, 16));
    out.push_back(std::bit_cast<float>(bits));
  }
  return out;
}
lutra::shape shape_of(const json& x) {
  const auto extents = x.get<std::vector<index_t>>();
  return lutra::shape(std::span<const index_t>(extents));
}
lutra::granularity granularity_of(const json& g) {
  const auto type = g.at("type").get<std::string>();
  std::optional<int> axis;
  if (g.contains("axis") && !g["axis"].is_null()) axis = g["axis"].get<int>();
  if (type == "per_tensor") return lutra::granularity::per_tensor();
  if (type == "per_channel") return lutra::granularity::per_channel(axis);
  const json& size = g.at("block_size");
  if (!size.is_array()) return lutra::granularity::per_block(size.get<index_t>(), axis);
  const auto sizes = size.get<std::vector<index_t>>();
  return lutra::granularity::per_block(std::span<const index_t>(sizes), axis);
}
lutra::qscheme scheme_of(const std::string& name) {
  for (const auto s : {lutra::qscheme::symmetric, lutra::qscheme::symmetric_with_clipping,
                       lutra::qscheme::asymmetric}) {
    if (lutra::name_of(s) == name) return s;
  }
  lutra::raise(errc::invalid_argument, "unknown qscheme", "spec", name);
}
lutra::float_range_t float_range_of(const json& x) {
  const auto refuse = [&](const char* what) {
    lutra::raise(errc::invalid_argument, what, "float_range", x.dump(),
                 "[number or null, number or null]");
  };
  if (!x.is_array()) refuse("not a pair");
  if (x.size() != 2) refuse("length is not 2");
  const auto end = [&](const json& e) -> std::optional<float> {
    if (e.is_null()) return {};
    if (!e.is_number()) refuse("end is neither a number nor null");
    return number(e);
  };
  return {end(x[0]), end(x[1])};
}
std::string_view observer_key(const json& name) {  // spec keeps a view, so the text must outlive it
  static const std::map<std::string, std::string, std::less<>> keys = {
      {"static", "static"},
      {"moving_average", "moving_average"},
      {"global_minmax", "global_minmax"}};
  return keys.at(name.get<std::string>());
}
lutra::quantization_spec spec_of(const json& x) {
  lutra::quantization_spec s;
  s.dtype = lutra::parse_dtype(x.value("dtype", "int8"));
  s.qscheme = scheme_of(x.value("qscheme", "symmetric"));
  if (x.value("qformulation", "zp") == "minval") s.qformulation = lutra::qformulation::minval;
  if (x.contains("granularity")) s.granularity = granularity_of(x["granularity"]);
  if (x.contains("float_range")) s.float_range = float_range_of(x["float_range"]);
  if (x.contains("scale_dtype") && !x["scale_dtype"].is_null()) {
    s.scale_dtype = lutra::parse_dtype(x["scale_dtype"].get<std::string>());
  }
  return s;
}
lutra::tensor<float> tensor_of(const json& x) {
  const lutra::shape extents = shape_of(x.at("shape"));
  lutra::tensor<float> t(extents);
  if (x.contains("data_rule")) {  // element[0,i,j] = base[i mod 3]
    if (x["data_rule"] != "element[0,i,j] = base[i mod 3]") {
      lutra::raise(errc::unsupported, "unknown data_rule", "case", x["data_rule"].dump());
    }
    const numbers base = floats(x.at("base"));
    for (index_t i = 0; i < t.size(); ++i) {
      t[i] = base[static_cast<std::size_t>(i / extents[2] % extents[1] % 3)];
    }
  } else if (x.at("data").is_string()) {  // "any finite values"
    for (index_t i = 0; i < t.size(); ++i) t[i] = 0.75F * static_cast<float>(i % 7 - 3);
  } else {
    t = lutra::tensor<float>(extents, floats(x["data"]));
  }
  return t;
}
lutra::fake_quantizer quantizer_of(const json& c) {
  lutra::quantization_spec s = spec_of(c.at("spec"));
  if (c.contains("calc")) s.qparam_calculator = observer_key(c["calc"]);
  if (c.contains("averaging_constant"))
    s.averaging_constant = c["averaging_constant"].get<double>();
  return {s, c.value("target", "weight") == "weight" ? lutra::target::weight
                                                     : lutra::target::activation};
}

// ---------------------------------------------------------------------------------------- comparing

std::string text(const numbers& xs) { return lutra::text_of(std::span<const float>(xs)); }
template <class T> numbers wide(const std::vector<T>& xs) {
  numbers out;
  for (const T x : xs) out.push_back(static_cast<float>(x));
  return out;
}
outcome compare(const std::string& what, const numbers& expected, const numbers& got) {
  if (expected == got) return {};
  return difference{what + " " + text(expected), text(got)};
}
outcome expect(bool holds, const std::string& expected, const std::string& got) {
  if (holds) return {};
  return difference{expected, got};
}
// Every check in turn; the first that fails is the outcome.
outcome first_of(std::initializer_list<std::function<outcome()>> checks) {
  for (const auto& check : checks) {
    if (outcome o = check()) return o;
  }
  return {};
}

// expect and check of one case together.
json facts_of(const json& c) {
  json all = c.value("check", json::object());
  if (c.contains("expect") && c["expect"].is_object()) all.update(c["expect"]);
  return all;
}

outcome compare_params(const json& facts, const lutra::qparams& p, const lutra::shape& extents) {
  const auto optional_numbers = [&](const char* key, const numbers& got) -> outcome {
    if (!facts.contains(key)) return {};
    return compare(key, facts[key].is_null() ? numbers{} : floats(facts[key]), got);
  };
  return first_of({[&] { return optional_numbers("scale", p.scale); },
                   [&]() -> outcome {
                     if (!facts.contains("scale_bits")) return {};
                     return compare("scale_bits", floats_of_bits(facts["scale_bits"]), p.scale);
                   },
                   [&] { return optional_numbers("zero_point", wide(p.zero_point)); },
                   [&] { return optional_numbers("minval", p.minval); },
                   [&]() -> outcome {
                     if (!facts.contains("scale_shape")) return {};
                     const auto grid = lutra::grid_of(p.granularity, extents, "case").grid();
                     return compare("scale_shape", floats(facts["scale_shape"]),
                                    wide(std::vector<index_t>(grid.begin(), grid.end())));
                   }});
}

// Quantized values as numbers: integers, or the values of float codes.
numbers quantized(const lutra::tensor<float>& x, const lutra::qparams& p) {
  const lutra::dtype_info d = lutra::info(p.dtype);
  if (d.integer && d.is_signed) {
    lutra::tensor<std::int8_t> q(x.extents());
    lutra::quantize(view(x), p, view(q));
    return wide(q.elements());
  }
  lutra::tensor<std::uint8_t> q(x.extents());
  lutra::quantize(view(x), p, view(q));
  if (d.integer) return wide(q.elements());
  lutra::qparams unit = p;
  unit.scale.assign(p.scale.size(), 1.0F);
  lutra::tensor<float> values(x.extents());
  lutra::dequantize(view(q), unit, view(values));
  return values.elements();
}
numbers dequantized(const lutra::tensor<float>& x, const lutra::qparams& p) {
  const lutra::dtype_info d = lutra::info(p.dtype);
  lutra::tensor<float> out(x.extents());
  if (d.integer && d.is_signed) {
    lutra::tensor<std::int8_t> q(x.extents());
    lutra::quantize(view(x), p, view(q));
    lutra::dequantize(view(q), p, view(out));
  } else {
    lutra::tensor<std::uint8_t> q(x.extents());
    lutra::quantize(view(x), p, view(q));
    lutra::dequantize(view(q), p, view(out));
  }
  return out.elements();
}
// q, dq, mask and error bounds of one tensor, both by quantize + dequantize and by fake_quantize.
outcome compare_values(const json& facts, const lutra::tensor<float>& x, const lutra::qparams& p) {
  lutra::tensor<float> faked(x.extents());
  lutra::fake_quantize(view(x), p, view(faked));
  lutra::tensor<std::uint8_t> inside(x.extents());
  lutra::straight_through_mask(view(x), p, view(inside));
  const numbers dq = dequantized(x, p);
  const auto both = [&](const char* key, const numbers& expected) {
    if (outcome o = compare(key, expected, dq)) return o;
    return compare(std::string("fake-quantized ") + key, expected, faked.elements());
  };
  return first_of(
      {[&]() -> outcome {
         if (!facts.contains("q")) return {};
         return compare("q", floats(facts["q"]), quantized(x, p));
       },
       [&]() -> outcome {
         if (!facts.contains("dq")) return {};
         return both("dq", floats(facts["dq"]));
       },
       [&]() -> outcome {
         if (!facts.contains("dq_bits")) return {};
         return both("dq_bits", floats_of_bits(facts["dq_bits"]));
       },
       [&]() -> outcome {
         const char* key = facts.contains("mask") ? "mask" : "grad_mask";
         if (!facts.contains(key)) return {};
         return compare(key, floats(facts[key]), wide(inside.elements()));
       },
       [&]() -> outcome {
         if (!facts.contains("max_abs_dequant_error")) return {};
         const float bound = number(facts["max_abs_dequant_error"]);
         for (index_t i = 0; i < x.size(); ++i) {
           const float error = std::fabs(x[i] - dq[static_cast<std::size_t>(i)]);
           if (error > bound)
             return difference{"error <= " + lutra::text_of(bound), lutra::text_of(error)};
         }
         return {};
       }});
}

// A case that must be refused: which error stands for the file's word.
outcome expect_error(const std::string& word, const std::function<void()>& f) {
  struct refusal {
    errc code;
    std::string_view part;
  };
  static const std::map<std::string, refusal, std::less<>> refusals = {
      {"axis_out_of_range", {errc::invalid_argument, "axis out of bounds"}},
      {"axis_required", {errc::invalid_argument, "axis is unresolved"}},
      {"axis_must_be_null_for_tuple", {errc::invalid_argument, "axis must be absent"}},
      {"rank_mismatch", {errc::shape_mismatch, "one block size per axis"}},
      {"block_size_mismatch", {errc::incompatible, "block size does not divide"}},
      {"not a pair", {errc::invalid_argument, "not a pair"}},
      {"length", {errc::invalid_argument, "length"}},
      {"bool", {errc::invalid_argument, "neither a number nor null"}},
      {"order", {errc::invalid_argument, "float_range"}},
      {"min>0", {errc::invalid_argument, "float_range.lo"}},
      {"enable_observer<0", {errc::invalid_argument, "enable_observer out of range"}},
      {"enable_fake_quant<enable_observer",
       {errc::invalid_argument, "enable_fake_quant comes before"}},
      {"disable<=enable_observer",
       {errc::invalid_argument, "disable_observer does not come after"}},
      {"disable<enable_fake_quant", {errc::invalid_argument, "disable_observer comes before"}}};
  try {
    f();
  } catch (const lutra::error& e) {
    const std::string got = std::string(lutra::name_of(e.code())) + ": " + e.what();
    if (word == "scale_dtype") {  // a name that is no dtype, or one that is no scale type
      const bool named = e.code() == errc::unsupported || got.find("scale_dtype") != got.npos;
      return expect(named, "error scale_dtype", got);
    }
    const auto it = refusals.find(word);
    if (it == refusals.end()) return difference{"error " + word, "no rule for this word; " + got};
    return expect(e.code() == it->second.code && got.find(it->second.part) != got.npos,
                  "error " + word, got);
  }
  return difference{"error " + word, "no error"};
}

// -------------------------------------------------------------------------------------------- kinds

outcome run_qparams(const json& c) {
  lutra::fake_quantizer f = quantizer_of(c);
  const lutra::tensor<float> x = tensor_of(c.at("x"));
  f.observe(view(x));
  const lutra::qparams p = f.params();
  const json facts = facts_of(c);
  if (outcome o = compare_params(facts, p, x.extents())) return o;
  if (facts.value("frozen_on_later_inputs", false)) {
    lutra::tensor<float> later = x;
    for (float& e : later.elements()) e = 100.0F * e - 7.0F;
    f.observe(view(later));
    if (outcome o = expect(f.params() == p, "frozen on later inputs", "changed")) return o;
  }
  if (facts.value("abs_dequant_end_error_le_scale", false)) {
    const lutra::tensor<float> ends(
        lutra::shape{2}, {f.spec().float_range.lo.value(), f.spec().float_range.hi.value()});
    const numbers back = dequantized(ends, p);
    for (std::size_t i = 0; i < 2; ++i) {
      const float error = std::fabs(back[i] - ends.elements()[i]);
      if (error > p.scale[0]) return difference{"end error <= scale", lutra::text_of(error)};
    }
  }
  return compare_values(facts, x, p);
}

// A calculator built by hand: no scale_dtype means plain scales, also for float4.
outcome run_fake_quant(const json& c) {
  json plain = c;
  if (lutra::parse_dtype(c["spec"].value("dtype", "int8")) == lutra::dtype::float4_e2m1fn &&
      !c["spec"].contains("scale_dtype")) {
    plain["spec"]["scale_dtype"] = "float32";
  }
  return run_qparams(plain);
}

numbers range_end(const lutra::fake_quantizer& f, bool upper) {
  numbers lo(static_cast<std::size_t>(f.statistics().units()));
  numbers hi(lo.size());
  f.statistics().range(lo, hi);
  return upper ? hi : lo;
}

outcome run_observer_seq(const json& c) {
  lutra::fake_quantizer f = quantizer_of(c);
  f.enable_fake_quant(false);
  const json facts = facts_of(c);
  std::vector<lutra::qparams> steps;
  numbers running[2];
  std::size_t step = 0;
  for (const json& x : c.at("xs")) {
    lutra::tensor<float> t = tensor_of(x);
    f.enable_observer(!x.value("export_mode", false));  // export mode: stored values, no update
    f.forward(view(t), view(t));
    steps.push_back(f.params());
    for (const bool upper : {false, true}) {
      const char* key = upper ? "running_max" : "running_min";
      const numbers got = range_end(f, upper);
      if (facts.contains(key)) {
        if (outcome o = compare(key, floats(facts[key].at(step)), got)) return o;
      }
      running[upper ? 1 : 0] = got;
    }
    if (facts.contains("scale") && facts["scale"].at(step).is_array()) {
      if (outcome o = compare("scale", floats(facts["scale"].at(step)), steps.back().scale))
        return o;
    }
    ++step;
  }
  const lutra::qparams& last = steps.back();
  if (facts.contains("running_max_2")) {
    if (outcome o = compare("running_max_2", floats(facts["running_max_2"]), running[1])) return o;
  }
  if (facts.contains("scale_ratio_2_over_1")) {
    const double tolerance = facts.at("rel_tol").get<double>();
    const auto ratio = [&](float a, float b, const char* key) {
      const double expected = facts.at(key).get<double>();
      const double got = static_cast<double>(a) / static_cast<double>(b);
      return expect(std::fabs(got / expected - 1) <= tolerance,
                    key + std::string(" ") + lutra::text_of(expected), lutra::text_of(got));
    };
    if (outcome o = ratio(last.scale[0], steps[0].scale[0], "scale_ratio_2_over_1")) return o;
    if (outcome o = ratio(last.minval[0], steps[0].minval[0], "minval_ratio_2_over_1")) return o;
    if (outcome o =
            expect(last.zero_point == steps[0].zero_point, "equal zero points", "different"))
      return o;
  }
  if (facts.contains("equals_calc")) {
    json other = c;
    other["calc"] = facts["equals_calc"];
    lutra::fake_quantizer g = quantizer_of(other);
    g.observe(view(tensor_of(c["xs"].back())));
    if (outcome o = expect(g.params() == last, "equal to the other calculator", "different"))
      return o;
    if (outcome o = compare_params(facts, last, shape_of(c["xs"].back()["shape"]))) return o;
  }
  if (facts.value("step2_equals_step1", false)) {
    if (outcome o = expect(steps.at(1) == steps.at(0), "step 2 equals step 1", "different"))
      return o;
  }
  if (facts.value("step3_differs_from_step1", false)) {
    return expect(!(steps.at(2) == steps.at(0)), "step 3 differs from step 1", "equal");
  }
  return {};
}

outcome run_range(const json& c) {
  const lutra::tensor<float> x = tensor_of(c.at("x"));
  const lutra::block_grid units =
      lutra::grid_of(granularity_of(c.at("granularity")), x.extents(), "case");
  const lutra::unit_ranges r = lutra::ranges_of(view(x), units);
  const json& want = c.at("expect");
  if (outcome o = compare("min", floats(want.at("min")), r.lo)) return o;
  if (outcome o = compare("max", floats(want.at("max")), r.hi)) return o;
  return compare("shape", floats(want.at("shape")),
                 wide(std::vector<index_t>(units.grid().begin(), units.grid().end())));
}

outcome run_int_kernel(const json& c) {
  lutra::qparams p;
  p.quant_min = number(c.at("quant_min"));
  p.quant_max = number(c.at("quant_max"));
  p.dtype = p.quant_min < 0 ? lutra::dtype::int8 : lutra::dtype::uint8;
  p.scale = {number(c.at("scale"))};
  p.zero_point = {c.at("quant_offset").get<std::int32_t>()};
  p.minval = {number(c.at("float_offset"))};
  p.qformulation = p.minval[0] == 0 ? lutra::qformulation::zp : lutra::qformulation::minval;
  if (p.qformulation == lutra::qformulation::minval && number(c["quant_offset"]) != p.quant_min) {
    return difference{"quant_offset = quant_min with a float offset", c["quant_offset"].dump()};
  }
  const numbers x = floats(c.at("x"));
  return compare_values(facts_of(c),
                        lutra::tensor<float>(lutra::shape{static_cast<index_t>(x.size())}, x), p);
}

outcome run_float_kernel(const json& c) {
  lutra::qparams p;
  p.dtype = lutra::parse_dtype(c.at("dtype").get<std::string>());
  p.quant_min = lutra::info(p.dtype).quant_min;
  p.quant_max = lutra::info(p.dtype).quant_max;
  p.scale = {c.contains("scale") ? number(c["scale"]) : 1.0F};
  const numbers x = floats(c.at("x"));
  return compare_values(facts_of(c),
                        lutra::tensor<float>(lutra::shape{static_cast<index_t>(x.size())}, x), p);
}

outcome run_block_size(const json& c) {
  const lutra::block_grid g =
      lutra::grid_of(granularity_of(c.at("granularity")), shape_of(c.at("shape")), "case");
  const json facts = facts_of(c);
  const auto extents = [](const lutra::shape& s) {
    return wide(std::vector<index_t>(s.begin(), s.end()));
  };
  if (outcome o = compare("block", floats(facts.at("block")), extents(g.block()))) return o;
  return compare("scale_shape", floats(facts.at("scale_shape")), extents(g.grid()));
}

outcome run_block_size_error(const json& c) {
  return expect_error(c["expect"]["error"].get<std::string>(), [&] {
    lutra::grid_of(granularity_of(c.at("granularity")), shape_of(c.at("shape")), "case");
  });
}

outcome compare_bounds(const json& want, const lutra::quant_bounds& got) {
  return compare("quant_min, quant_max",
                 {number(want.at("quant_min")), number(want.at("quant_max"))}, {got.min, got.max});
}

outcome run_quant_range(const json& c) {
  return compare_bounds(c.at("expect"), lutra::bounds_of(spec_of(c)));
}

outcome run_scale_dtype(const json& c) {
  const lutra::quantization_spec s = spec_of(c);
  lutra::check(s, "case");
  const lutra::dtype resolved = lutra::scale_dtype_of(s);
  const std::string got =
      resolved == lutra::dtype::float32 ? "null" : std::string(lutra::name_of(resolved));
  const json& want = c.at("expect").at("resolved");
  const std::string expected = want.is_null() ? "null" : want.get<std::string>();
  return expect(expected == got, expected, got);
}

outcome run_spec_error(const json& c) {
  return expect_error(c["expect"]["error"].get<std::string>(),
                      [&] { lutra::check(spec_of(c.at("spec")), "case"); });
}

void check_float_range(const json& c) {
  lutra::check(spec_of({{"float_range", c.at("float_range")}}), "case");
}
outcome run_float_range_ok(const json& c) {
  check_float_range(c);
  return {};
}
outcome run_float_range_error(const json& c) {
  return expect_error(c["expect"]["error"].get<std::string>(), [&] { check_float_range(c); });
}

outcome run_axis_default(const json& c) {
  const auto weight = lutra::weight_of(c.at("op").get<std::string>());
  if (!weight) return difference{"default axes", "none known for " + c["op"].dump()};
  const json& want = c.at("expect");
  return compare(
      "per_channel, per_block", {number(want.at("per_channel")), number(want.at("per_block"))},
      {static_cast<float>(weight->channel_axis), static_cast<float>(weight->block_axis)});
}

lutra::qat_schedule schedule_of(const json& x) {
  lutra::qat_schedule s;
  s.enable_observer = x.at("enable_observer").get<std::int64_t>();
  s.enable_fake_quant = x.at("enable_fake_quant").get<std::int64_t>();
  if (!x.at("disable_observer").is_null())
    s.disable_observer = x["disable_observer"].get<std::int64_t>();
  return s;
}
outcome run_qat_state(const json& c) {
  const lutra::qat_schedule s = schedule_of(c.at("schedule"));
  lutra::check(s, "case");
  for (const json& want : c.at("expect")) {
    const auto got = lutra::state_at(s, want.at("step").get<std::int64_t>());
    if (got.observer != (want.at("obs") == 1) || got.fake_quant != (want.at("fq") == 1)) {
      return difference{want.dump(),
                        lutra::text_of(got.observer) + ", " + lutra::text_of(got.fake_quant)};
    }
  }
  return {};
}
outcome run_qat_ok(const json& c) {
  lutra::check(schedule_of(c.at("schedule")), "case");
  return {};
}
outcome run_qat_error(const json& c) {
  return expect_error(c["expect"]["error"].get<std::string>(),
                      [&] { lutra::check(schedule_of(c.at("schedule")), "case"); });
}

outcome run_disable_on_mismatch(const json& c) {
  lutra::fake_quantizer f = quantizer_of(c);
  lutra::tensor<float> x(shape_of(c.at("shape")));
  for (index_t i = 0; i < x.size(); ++i) x[i] = 0.001F * static_cast<float>(i % 1999 - 999);
  lutra::tensor<float> out(x.extents());
  f.forward(view(x), view(out));
  const bool want = c.at("expect").at("disabled").get<bool>();
  if (outcome o =
          expect(f.disabled() == want, want ? "disabled" : "not disabled", f.disabled_reason()))
    return o;
  if (outcome o = expect(f.disabled_reason().empty() != want, "a reason exactly if disabled",
                         f.disabled_reason())) {
    return o;
  }
  return expect((out == x) == want, want ? "input unchanged" : "quantized output", "the other");
}

outcome run_program_pass_range(const json& c) {
  return compare_bounds(c.at("expect"), lutra::program_pass_bounds(
                                            lutra::parse_dtype(c.at("dtype").get<std::string>()),
                                            scheme_of(c.at("mode").get<std::string>())));
}

outcome run_e8m0_scale(const json& c) {
  const lutra::dtype d = lutra::parse_dtype(c.at("dtype").get<std::string>());
  numbers scales, exponents;
  for (const float m : floats(c.at("max_abs"))) {
    scales.push_back(lutra::e8m0_scale(d, m));
    const lutra::float8_e8m0fnu stored(scales.back());
    if (static_cast<float>(stored) != scales.back())
      return difference{"an e8m0 value", lutra::text_of(scales.back())};
    exponents.push_back(static_cast<float>(stored.bits) - 127.0F);
  }
  if (outcome o = compare("scale", floats(c["expect"]["scale"]), scales)) return o;
  return compare("log2", floats(c["expect"]["log2"]), exponents);
}

outcome run_bf16_scale(const json& c) {
  const numbers x = floats(c.at("x"));
  const auto [lo, hi] = std::minmax_element(x.begin(), x.end());
  const lutra::quantization_spec s = spec_of(c.at("spec"));
  const auto plain = lutra::qparams_from_range(s, {&*lo, 1}, {&*hi, 1});
  if (outcome o = compare("float32_scale", floats(c["check"]["float32_scale"]), plain.scale))
    return o;
  const auto p =
      lutra::qparams_from_range(s, {&*lo, 1}, {&*hi, 1}, {.arithmetic = lutra::dtype::bfloat16});
  if (outcome o = compare("scale", floats(c["expect"]["scale"]), p.scale)) return o;
  return compare("scale_bits", floats_of_bits(c["expect"]["scale_bits"]), p.scale);
}

outcome run_bf16_ema(const json& c) {
  lutra::quantization_spec s;
  s.averaging_constant = c.at("averaging_constant").get<double>();
  lutra::moving_average sticky(s, lutra::running_type::bfloat16);
  lutra::moving_average ours(s);
  const auto both = [&](float x) {
    sticky.observe(view(numbers{x}));
    ours.observe(view(numbers{x}));
  };
  both(number(c.at("start")));
  for (int i = 0; i < c.at("batches").get<int>(); ++i) both(number(c.at("batch_value")));
  float lo = 0, hi = 0;
  sticky.range({&lo, 1}, {&hi, 1});
  if (outcome o = compare("running", floats(c["expect"]["running"]), {hi})) return o;
  ours.range({&lo, 1}, {&hi, 1});
  return expect(std::fabs(hi - number(c["batch_value"])) < 1e-2F, "the default average to follow",
                lutra::text_of(hi));
}

struct kind {
  outcome (*run)(const json&);
  const char* compatibility = nullptr;  // why it is not the default, if it is not
};
const std::map<std::string, kind, std::less<>> kinds = {
    {"qparams", {run_qparams}},
    {"quantize", {run_qparams}},
    {"fake_quant", {run_fake_quant}},
    {"observer_seq", {run_observer_seq}},
    {"range", {run_range}},
    {"int_kernel", {run_int_kernel}},
    {"float_kernel", {run_float_kernel}},
    {"fp_cast", {run_float_kernel}},
    {"block_size", {run_block_size}},
    {"block_size_error", {run_block_size_error}},
    {"quant_range", {run_quant_range}},
    {"scale_dtype", {run_scale_dtype}},
    {"spec_error", {run_spec_error}},
    {"float_range_ok", {run_float_range_ok}},
    {"float_range_error", {run_float_range_error}},
    {"axis_default", {run_axis_default}},
    {"qat_state", {run_qat_state}},
    {"qat_ok", {run_qat_ok}},
    {"qat_error", {run_qat_error}},
    {"disable_on_mismatch", {run_disable_on_mismatch}},
    {"program_pass_range",
     {run_program_pass_range, "program_pass_bounds; the library has one quantizer"}},
    {"e8m0_scale", {run_e8m0_scale}},
    {"bf16_scale", {run_bf16_scale, "qparams_options.arithmetic; by default scales are float32"}},
    {"bf16_ema",
     {run_bf16_ema, "running_type::bfloat16; by default the state is double and follows"}}};

}  // namespace

void run_quantization(const nlohmann::json& file, conformance_report& report) {
  for (const json& c : file.at("cases")) {
    const auto id = c.at("id").get<std::string>();
    const auto name = c.at("kind").get<std::string>();
    const auto it = kinds.find(name);
    if (it == kinds.end()) {
      report.out_of_scope(id, "no rule for kind " + name);
      continue;
    }
    outcome o;
    try {
      o = it->second.run(c);
    } catch (const lutra::error& e) {
      o = difference{"no error", e.what()};
    }
    if (o) {
      report.fail(id, o->expected, o->got);
    } else if (it->second.compatibility != nullptr) {
      report.pass_in_compat_mode(id, it->second.compatibility);
    } else {
      report.pass(id);
    }
  }
}
