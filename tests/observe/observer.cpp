#include <lutra/observe/observer.hpp>

#include <doctest/doctest.h>

#include <lutra/observe/any_observer.hpp>

using namespace lutra;

namespace {

// The poorest type that is an observer: fixed range, no default construction.
class fixed_range {
 public:
  explicit fixed_range(float end) : end_(end) {}
  void observe(tensor_view<const float> x) { samples_ += x.size(); }
  void reset() { samples_ = 0; }
  index_t units() const { return samples_ == 0 ? 0 : 1; }
  std::int64_t samples() const { return samples_; }
  std::int64_t nonfinite() const { return 0; }
  void range(std::span<float> lo, std::span<float> hi) const {
    lo[0] = -end_;
    hi[0] = end_;
  }
  void save(state_writer& w) const { w.i64(samples_); }
  void load(state_reader& r) { samples_ = r.i64(); }

 private:
  float end_;
  std::int64_t samples_ = 0;
};
static_assert(observer<fixed_range>);
static_assert(!mergeable_observer<fixed_range> && !appendable_observer<fixed_range>);
static_assert(!observer<int>);
static_assert(mergeable_observer<global_min_max> && appendable_observer<global_min_max>);
static_assert(!mergeable_observer<moving_average> && appendable_observer<moving_average>);

}  // namespace

TEST_CASE("observer: a plain class is one and works in the box") {
  any_observer box = fixed_range(2.0F);
  const std::vector<float> x(5);
  box.observe({x.data(), {5}});
  float lo = 0, hi = 0;
  box.range({&lo, 1}, {&hi, 1});
  CHECK(box.samples() == 5);
  CHECK(lo == -2.0F);
  CHECK(hi == 2.0F);
}
