#include <lutra/observe/global_min_max.hpp>
#include <lutra/observe/placed.hpp>
#include <lutra/tensor/traits.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace {

using namespace lutra;

// Counts elements, knows nothing of units; `Kind` chooses how two of them are combined.
enum class combined { no_way, by_merging, by_appending };
template <combined Kind> class counter {
 public:
  void observe(tensor_view<const float> x) { samples_ += x.size(); }
  void reset() { samples_ = 0; }
  index_t units() const { return 4; }
  std::int64_t samples() const { return samples_; }
  std::int64_t nonfinite() const { return 7; }
  void range(std::span<float> lo, std::span<float> hi) const { lo[0] = hi[0] = 3.0F; }
  void save(state_writer& w) const { w.i64(samples_); }
  void load(state_reader& r) { samples_ = r.i64(); }
  void merge(const counter& other) requires(Kind == combined::by_merging) {
    samples_ += other.samples_;
  }
  void append(const counter& later) requires(Kind == combined::by_appending) {
    samples_ += later.samples_;
  }

 private:
  std::int64_t samples_ = 0;
};
using alone = placed<counter<combined::no_way>>;
using merged = placed<counter<combined::by_merging>>;
using appended = placed<counter<combined::by_appending>>;
static_assert(placed_observer<alone> && !mergeable_observer<alone> && !appendable_observer<alone>);
static_assert(mergeable_observer<merged> && !appendable_observer<merged>);
static_assert(appendable_observer<appended> && !mergeable_observer<appended>);
static_assert(!bounded_observer<alone>);
struct wide_counter : counter<combined::no_way> {
  index_t state_bytes() const { return 100; }
  bool within(float bound) const { return bound >= 3.0F; }
};
static_assert(bounded_observer<placed<wide_counter>>);
static_assert(placed_observer<global_min_max>);  // so there is no placed one of it

const seen_units told_units = seen_units::of(grid_of(granularity::per_block(2, 1), {2, 4}, "test"));

TEST_CASE("placed: as the observer itself") {
  alone o{counter<combined::no_way>()};
  o.observe(view(std::vector<float>{1, 2, 3}));
  CHECK(o.units() == 4);
  CHECK(o.samples() == 3);
  CHECK(o.nonfinite() == 7);
  float lo = 0, hi = 0;
  o.range({&lo, 1}, {&hi, 1});
  CHECK(lo == 3.0F);
  CHECK(hi == 3.0F);
  o.reset();
  CHECK(o.samples() == 0);
  const placed<wide_counter> large{wide_counter()};
  CHECK(large.state_bytes() == 100);
  CHECK(large.within(3.0F));
  CHECK_FALSE(large.within(2.0F));
}

TEST_CASE("placed: says what it was told, until it is reset or loaded") {
  alone o{counter<combined::no_way>()};
  o.observe(view(std::vector<float>{1, 2, 3}));
  CHECK(o.seen().count() == 0);  // nobody told it
  o.learn(told_units);
  CHECK(o.seen().grid() == shape{2, 2});
  CHECK(alone(o).seen().grid() == shape{2, 2});
  state_writer w;
  o.save(w);
  state_reader r(w.bytes(), "load");
  o.load(r);
  r.expect_end();
  CHECK(o.samples() == 3);
  CHECK(o.seen().count() == 0);
  o.learn(told_units);
  o.reset();
  CHECK(o.seen().count() == 0);
}

TEST_CASE("placed: two that become one know what either was told") {
  const std::vector<float> x{1, 2};
  merged a{counter<combined::by_merging>()}, b{counter<combined::by_merging>()};
  appended c{counter<combined::by_appending>()}, d{counter<combined::by_appending>()};
  b.observe(view(x));
  b.learn(told_units);
  a.merge(b);
  CHECK(a.samples() == 2);
  CHECK(a.seen().grid() == shape{2, 2});
  d.observe(view(x));
  d.learn(told_units);
  c.append(d);
  CHECK(c.samples() == 2);
  CHECK(c.seen().grid() == shape{2, 2});
}

}  // namespace
