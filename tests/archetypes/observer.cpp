// The poorest observer: just the concept, no default construction, no comparison.
#include <doctest/doctest.h>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/tensor/traits.hpp>

namespace {

// Pretends that every range is [-1, 1].
class poor_observer {
 public:
  explicit poor_observer(const lutra::quantization_spec&) {}
  void observe(lutra::tensor_view<const float> x) { samples_ += x.size(); }
  void reset() { samples_ = 0; }
  int units() const { return samples_ > 0 ? 1 : 0; }
  int samples() const { return static_cast<int>(samples_); }
  int nonfinite() const { return 0; }
  void range(std::span<float> lo, std::span<float> hi) const {
    lo[0] = -1.0F;
    hi[0] = 1.0F;
  }
  void save(lutra::state_writer& w) const { w.u64(static_cast<std::uint64_t>(samples_)); }
  void load(lutra::state_reader& r) { samples_ = static_cast<lutra::index_t>(r.u64()); }

 private:
  lutra::index_t samples_ = 0;
};
static_assert(lutra::observer<poor_observer>);
static_assert(!lutra::mergeable_observer<poor_observer>);
static_assert(!lutra::appendable_observer<poor_observer>);

}  // namespace

TEST_CASE("archetypes: the poorest observer serves a fake-quantizer under its key") {
  lutra::register_observer("poor", [](const lutra::quantization_spec& s) {
    return lutra::any_observer(poor_observer(s));
  });
  lutra::quantization_spec spec;
  spec.qparam_calculator = "poor";
  lutra::fake_quantizer fq(spec, lutra::target::activation);
  const std::vector<float> x{0.5F, 100.0F};
  std::vector<float> y(2);
  fq.forward(lutra::view(x), lutra::view(y));
  CHECK(y[0] == doctest::Approx(0.5).epsilon(0.01));
  CHECK(y[1] == doctest::Approx(1.0).epsilon(0.01));
  CHECK(fq.samples() == 2);
}
