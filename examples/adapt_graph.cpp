// Adapting a foreign graph: palettized and activation-quantized through lutra::graph_traits, while the
// framework keeps running its own graph with its own executor. Returns non-zero if something is off.
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/conformance.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

// ---- a framework that knows nothing of lutra: a tape of instructions on registers -------------------
namespace acme {

enum class code { load, dense, rectify, shadow, encode, decode };
struct instruction {
  code what;
  int target;               // register written
  std::vector<int> source;  // registers read
  int tag = 0;              // of shadow: which hook to call
};
struct blob {
  std::vector<long> dims;
  std::vector<float> values;
};
struct lookup {  // a weight as 16 entries and one byte per code
  std::vector<long> dims;
  std::vector<float> table;
  std::vector<unsigned char> codes;
};
struct program {
  std::vector<instruction> tape;
  std::map<int, blob> constants;
  std::map<int, lookup> lookups;
  std::map<int, std::pair<float, float>> steps;  // of encode and decode: step and offset
  int result = 0;
  int registers = 0;

  std::vector<instruction>::iterator writer(int r) {
    return std::find_if(tape.begin(), tape.end(), [=](auto& i) { return i.target == r; });
  }
  std::vector<instruction>::const_iterator writer(int r) const {
    return std::find_if(tape.begin(), tape.end(), [=](auto& i) { return i.target == r; });
  }
};
using hook = std::function<void(int tag, blob& x)>;

blob weight_of(const program& p, int r) {
  if (p.constants.count(r) != 0) return p.constants.at(r);
  blob dense{p.lookups.at(r).dims, {}};
  for (const unsigned char c : p.lookups.at(r).codes) {
    dense.values.push_back(p.lookups.at(r).table[c]);
  }
  return dense;
}
blob dense(const blob& x, const blob& w) {
  const long rows = x.dims[0], depth = x.dims[1], wide = w.dims[0];
  blob y{{rows, wide}, std::vector<float>(static_cast<std::size_t>(rows * wide))};
  for (long i = 0; i < rows * wide; ++i) {
    float sum = 0;
    for (long k = 0; k < depth; ++k) {
      sum += x.values[static_cast<std::size_t>(i / wide * depth + k)] *
             w.values[static_cast<std::size_t>(i % wide * depth + k)];
    }
    y.values[static_cast<std::size_t>(i)] = sum;
  }
  return y;
}
blob run(const program& p, const blob& input, const hook& on_shadow = {}) {
  std::map<int, blob> at;
  for (const instruction& i : p.tape) {
    const auto read = [&](int r) { return at.count(r) ? at.at(r) : weight_of(p, r); };
    blob x = i.what == code::load ? input : read(i.source[0]);
    const auto each = [&](auto f) {
      for (float& v : x.values) v = f(v);
    };
    const auto [step, offset] =
        p.steps.count(i.target) ? p.steps.at(i.target) : std::pair(1.F, 0.F);
    if (i.what == code::dense) x = dense(x, read(i.source[1]));
    if (i.what == code::rectify) each([](float v) { return v > 0 ? v : 0; });
    if (i.what == code::encode) {
      each([s = step, o = offset](float v) {
        return std::fmin(std::fmax(std::nearbyint(v / s) + o, -128.F), 127.F);
      });
    }
    if (i.what == code::decode) each([s = step, o = offset](float v) { return (v - o) * s; });
    if (i.what == code::shadow) on_shadow(i.tag, x);
    at[i.target] = std::move(x);
  }
  return at.at(p.result);
}

}  // namespace acme

// [adapt]
template <> struct lutra::graph_traits<acme::program> {
  using node_id = int;   // the register an instruction writes: stays valid when the tape moves
  using value_id = int;  // a register
  using program = acme::program;

  static std::vector<int> nodes(const program& p) {
    std::vector<int> ids;
    for (const auto& i : p.tape) {
      if (i.what != acme::code::load) ids.push_back(i.target);
    }
    return ids;
  }
  static std::string_view op_type(const program& p, int n) {
    constexpr std::string_view names[] = {"",           "linear",   "relu",
                                          "fake_quant", "quantize", "dequantize"};
    return names[static_cast<int>(p.writer(n)->what)];
  }
  static std::vector<int> operands(const program& p, int n) { return p.writer(n)->source; }
  static std::array<int, 1> results(const program&, int n) { return {n}; }
  static std::array<int, 1> outputs(const program& p) { return {p.result}; }
  static value_role role_of(const program& p, int v) {
    if (p.constants.count(v) != 0) return value_role::state;
    if (p.lookups.count(v) != 0) return value_role::packed_state;
    return p.writer(v)->what == acme::code::load ? value_role::graph_input : value_role::result;
  }
  static bool is_float(const program& p, int v) {
    return role_of(p, v) != value_role::result || p.writer(v)->what != acme::code::encode;
  }

  static tensor_view<const float> constant(const program& p, int v) {
    return {p.constants.at(v).values.data(), extents(p.constants.at(v).dims)};
  }
  static void set_constant(program& p, int v, tensor_view<const float> data) {
    p.constants.at(v).values = to_vector<float>(data);
  }
  static int insert_fake_quant(program& p, int v, fake_quant_id id) {
    return insert(p, v, acme::code::shadow, static_cast<int>(id.index));
  }
  static int emit_quantize_dequantize(program& p, int v, const qparams& q) {
    const int codes = insert(p, v, acme::code::encode);
    const int values = insert(p, codes, acme::code::decode);
    p.steps[codes] = p.steps[values] = {q.scale[0], static_cast<float>(q.zero_point[0])};
    return values;
  }
  static int emit_palette(program& p, int v, const packed_palette& packed) {
    const palette<float> plain = unpack(packed);  // this framework wants one table per weight
    p.lookups[p.registers] = {p.constants.at(v).dims, plain.lut, plain.codes};
    return p.registers++;
  }
  static void set_operand(program& p, int n, std::size_t slot, int v) {
    p.writer(n)->source[slot] = v;
  }
  static void set_output(program& p, std::size_t, int v) { p.result = v; }
  static void erase(program& p, int v) {
    if (p.lookups.erase(v) != 0) return;
    const auto made = p.writer(v);
    const int codes = made->what == acme::code::decode ? made->source[0] : v;
    p.tape.erase(made);
    if (codes == v) return;
    p.tape.erase(p.writer(codes));
    p.steps.erase(v);
    p.steps.erase(codes);
  }

 private:
  static shape extents(const std::vector<long>& dims) { return shape(std::span<const long>(dims)); }
  static int insert(program& p, int v, acme::code what, int tag = 0) {
    const auto at = p.writer(v);  // nobody writes a constant: then in front of everything
    p.tape.insert(at == p.tape.end() ? p.tape.begin() : at + 1, {what, p.registers, {v}, tag});
    return p.registers++;
  }
};
static_assert(lutra::editable_graph<acme::program>);
// [adapt]

namespace {

acme::blob random_blob(std::vector<long> dims, unsigned seed) {
  acme::blob b{std::move(dims), {}};
  for (long i = 0; i < b.dims[0] * b.dims[1]; ++i) {
    seed = seed * 1664525U + 1013904223U;
    b.values.push_back(static_cast<float>(seed >> 8) * 0x1p-23F - 1.0F);
  }
  return b;
}
acme::program two_layers() {
  acme::program p;
  p.tape = {{acme::code::load, 0, {}},
            {acme::code::dense, 3, {0, 1}},
            {acme::code::rectify, 4, {3}},
            {acme::code::dense, 5, {4, 2}}};
  p.constants = {{1, random_blob({16, 8}, 1)}, {2, random_blob({4, 16}, 2)}};
  p.result = 5;
  p.registers = 6;
  return p;
}
double relative_error(const acme::blob& y, const acme::blob& reference) {
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const double r = static_cast<double>(reference.values[i]);
    const double d = static_cast<double>(y.values[i]) - r;
    noise += d * d;
    signal += r * r;
  }
  return std::sqrt(noise / signal);
}
bool expect(bool ok, const char* what) {
  std::printf("%-60s %s\n", what, ok ? "yes" : "NO");
  return ok;
}

}  // namespace

int main() {
  acme::program net = two_layers();
  const acme::blob probe = random_blob({32, 8}, 99);
  const acme::blob exact = acme::run(net, probe);
  bool ok = expect(lutra::edit_conformance(net).empty(), "the adapter is sound");

  // Weights: 4-bit palettes with int8 tables.
  lutra::kmeans_palettizer palettizer{
      net,
      {.global_config = {
           .op_state_spec = {{"weight", {.n_bits = 4, .lut_qspec = lutra::int8_symmetric}}}}}};
  palettizer.prepare();
  for (const auto& w : palettizer.finalize().weights) {
    std::printf("%-8s %s, %d bits, %.1f dB\n", w.name.c_str(),
                std::string(name_of(w.status)).c_str(), w.n_bits, w.sqnr_db());
  }

  // Activations: the framework runs itself and reports every shadow instruction.
  lutra::quantizer quantizer{net, {.global_config = {.op_state_spec = {}}}};
  quantizer.prepare();
  const acme::hook hook = [&](int tag, acme::blob& x) {
    const lutra::shape extents{static_cast<lutra::index_t>(x.values.size())};
    const lutra::tensor_view<float> view(x.values.data(), extents);
    quantizer.on_fake_quant({tag}, view, view);
  };
  {
    const auto calibrating = quantizer.calibration_mode();
    for (unsigned i = 0; i < 8; ++i) acme::run(net, random_blob({32, 8}, 10 + i), hook);
  }
  const acme::blob simulated = acme::run(net, probe, hook);
  for (const auto& a : quantizer.finalize().activations) {
    std::printf("%-8s scale %.6f\n", a.name.c_str(), static_cast<double>(a.scale[0]));
  }

  const acme::blob final = acme::run(net, probe);  // no hook: nothing of lutra runs any more
  const double error = relative_error(final, exact);
  std::printf("relative error of the compressed network: %.4f\n", error);
  ok = expect(net.lookups.size() == 2, "both weights are look-up tables") && ok;
  ok = expect(net.steps.size() == 6, "three activations are encoded and decoded") && ok;
  ok = expect(final.values == simulated.values, "simulated and final agree bit for bit") && ok;
  ok = expect(error > 0 && error < 0.15, "close to the float network") && ok;
  return ok ? 0 : 1;
}
