// What is promised to have the same bits on every compiler and instruction set: palettes and what is known about
// them. A folder of its own, since .ci/run builds it for each.
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "palette/normal_weight.hpp"

namespace {

using lutra::granularity;
using lutra::palette;
using lutra::palettize;
using lutra::palettize_mode;
using lutra::tensor;

// FNV-1a.
class hash {
 public:
  template <class T> hash& mix(const std::vector<T>& xs) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(xs.data());
    for (std::size_t i = 0; i < xs.size() * sizeof(T); ++i) {
      value_ = (value_ ^ bytes[i]) * 0x100000001b3ULL;
    }
    return *this;
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

std::uint64_t hash_of(const palette<float>& p) {
  return hash().mix(p.lut).mix(p.codes).mix(p.scale).mix(p.inertia).mix(p.error).value();
}
// Better proofs change these.
void mix_proof(hash& all, const palette<float>& p) {
  all.mix(p.status).mix(p.lower_bound).mix(p.rounding).mix(p.used_entries);
}

tensor<float> positive(const lutra::shape& extents) {
  tensor<float> x = test::normal_weight(extents, 25, 0.3);
  for (float& v : x.elements()) v = std::fabs(v) + 1e-3F;
  return x;
}

TEST_CASE("same_bits: palettes of small groups") {
  const tensor<float> w = test::normal_weight({24, 50}, 17, 0.02);
  hash proofs;
  const auto hash_with = [&](const auto& weight, const lutra::palettization_spec& spec,
                             palettize_mode mode = palettize_mode::certified) {
    const palette<float> p = palettize(weight, spec, {.mode = mode});
    mix_proof(proofs, p);
    return hash_of(p);
  };
  CHECK(hash_with(w, {.n_bits = 5, .lut_qspec = lutra::int8_symmetric}) == 18059913434622432582ULL);
  CHECK(hash_with(w, {.n_bits = 3,
                      .granularity = granularity::per_grouped_channel(7, 1),
                      .enable_per_channel_scale = true}) == 6740420191271622091ULL);
  CHECK(hash_with(w, {.n_bits = 4}, palettize_mode::reference_fast) == 1986483326846326683ULL);
  CHECK(hash_with(w, {.n_bits = 4}, palettize_mode::reference_exact) == 17563203433604002086ULL);
  const lutra::quantization_spec asymmetric{.qscheme = lutra::qscheme::asymmetric};
  CHECK(hash_with(w, {.lut_qspec = asymmetric, .refine_lut = true}) == 8827456559335495437ULL);
  CHECK(hash_with(w, {.n_bits = 2, .outliers = {.count = 5}}) == 16445980124389641728ULL);
  CHECK(hash_with(tensor<double>::copy_of(w), {.n_bits = 6}) == 3578823300906480560ULL);
  CHECK(hash_with(tensor<lutra::half>::copy_of(w), {.n_bits = 7}) == 15161518520430657773ULL);
  // By prices.
  const tensor<float> rows = test::normal_weight({5, 1100}, 23, 0.02);
  CHECK(hash_with(rows, {.granularity = granularity::per_grouped_channel(1, 0)}) ==
        5056371115473401276ULL);
  CHECK(hash_with(rows, {.n_bits = 8, .granularity = granularity::per_grouped_channel(1, 0)}) ==
        9693419177711119625ULL);
  // Solved coarse to fine.
  CHECK(hash_with(rows, {}) == 2343049204182844209ULL);
  CHECK(proofs.value() == 11777372969406501322ULL);
}

TEST_CASE("same_bits: palettes of groups that are counted") {
  const tensor<float> large = test::normal_weight({400, 330}, 24, 0.02);
  const tensor<float> importance = positive({400, 330});
  hash proofs;
  const auto hash_with = [&](const auto& weight, const lutra::palettization_spec& spec,
                             const lutra::palettize_options& options = {}) {
    const palette<float> p = palettize(weight, spec, options);
    mix_proof(proofs, p);
    return hash_of(p);
  };
  CHECK(hash_with(large, {}) == 1501801979883484983ULL);
  CHECK(hash_with(large, {}, {.mode = palettize_mode::exact}) == 536606013274385110ULL);
  CHECK(hash_with(tensor<lutra::bfloat16>::copy_of(large), {}) == 2535206469792563175ULL);
  CHECK(hash_with(large, {.n_bits = 8}) == 16855548743817996519ULL);
  // With weights.
  CHECK(hash_with(large, {.enable_per_channel_scale = true}) == 9237501887324337847ULL);
  lutra::palettize_options weighted;
  weighted.importance = lutra::view(importance);
  CHECK(hash_with(large, {.n_bits = 8}, weighted) == 11095896712945322906ULL);
  CHECK(proofs.value() == 11788734021893589848ULL);
}

template <class T> void mix_restored(hash& all, const lutra::packed_palette& p) {
  const tensor<T> out = lutra::restore<T>(p);
  all.mix(std::vector<T>(out.data(), out.data() + out.size()));
}

TEST_CASE("same_bits: packed codes and what they restore to") {
  const tensor<float> w = test::normal_weight({37, 111}, 26, 0.02);
  hash all;
  for (int bits = 1; bits <= 8; ++bits) {
    const lutra::packed_palette p =
        lutra::pack(palettize(w, {.n_bits = bits,
                                  .lut_qspec = lutra::int8_symmetric,
                                  .granularity = granularity::per_grouped_channel(9, 0),
                                  .enable_per_channel_scale = bits % 2 == 1}));
    all.mix(p.codes);
    mix_restored<float>(all, p);
    mix_restored<lutra::half>(all, p);
    mix_restored<lutra::bfloat16>(all, p);
  }
  CHECK(all.value() == 14003406949302060693ULL);
}

}  // namespace
