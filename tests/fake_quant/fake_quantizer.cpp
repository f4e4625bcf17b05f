#include <lutra/fake_quant/fake_quantizer.hpp>

#include "../errors.hpp"
#include "fake_quant/earlier_versions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>
#include <thread>

using namespace lutra;

namespace {

tensor<float> sample(const shape& extents, std::uint64_t seed, double scale = 1) {
  random_stream random(seed);
  tensor<float> t(extents);
  for (float& e : t.elements()) e = static_cast<float>(random.normal() * scale);
  return t;
}
tensor<float> forward(fake_quantizer& f, const tensor<float>& x) {
  tensor<float> out(x.extents());
  f.forward(view(x), view(out));
  return out;
}
tensor<float> quantized(const tensor<float>& x, const qparams& p) {
  tensor<float> out(x.extents());
  fake_quantize(view(x), p, view(out));
  return out;
}
qparams params_of_range(const quantization_spec& s, const tensor<float>& x) {
  const auto r = ranges_of(view(x), grid_of(s.granularity, x.extents(), "test"));
  return qparams_from_range(s, r.lo, r.hi);
}

}  // namespace

TEST_CASE("fake_quantizer: the four states") {
  const tensor<float> x = sample(shape{4, 8}, 1);
  const tensor<float> wider = sample(shape{4, 8}, 2, 10);
  const quantization_spec s{.qparam_calculator = "static"};
  fake_quantizer f(s, target::activation);
  CHECK(f.observer_enabled());
  CHECK(f.fake_quant_enabled());
  f.enable_fake_quant(false);  // calibration
  CHECK(forward(f, x) == x);
  CHECK(f.params() == params_of_range(s, x));
  f.enable_fake_quant(true);  // training: this call already uses the new parameters
  CHECK(forward(f, wider) == quantized(wider, params_of_range(s, wider)));
  f.enable_observer(false);  // evaluation: frozen
  CHECK(forward(f, x) == quantized(x, params_of_range(s, wider)));
  CHECK(f.params() == params_of_range(s, wider));
  f.enable_fake_quant(false);  // transparent
  CHECK(forward(f, x) == x);
  CHECK(f.samples() == 64);
}

TEST_CASE("fake_quantizer: the default observer follows the target") {
  const tensor<float> a(shape{2}, {-2, 2});
  const tensor<float> b(shape{2}, {-4, 4});
  const auto last_minval = [&](target t, std::string_view key) {
    fake_quantizer f({.qparam_calculator = key, .averaging_constant = 0.5}, t);
    f.observe(view(a));
    f.observe(view(b));
    f.observe(view(a));
    return f.params().minval[0];
  };
  CHECK(last_minval(target::weight, "default") == -2.0F);
  CHECK(last_minval(target::lut, "default") == -2.0F);
  CHECK(last_minval(target::activation, "default") == -2.5F);
  CHECK(last_minval(target::weight, "moving_average") == -2.5F);
  CHECK(last_minval(target::activation, "global_minmax") == -4.0F);
  CHECK_ERROR(fake_quantizer({.qparam_calculator = "minmax"}, target::weight), invalid_argument,
              "'minmax'");
  CHECK_ERROR(fake_quantizer({.averaging_constant = 2.0}, target::weight), invalid_argument,
              "averaging_constant", "2");
}

namespace {

// An observer that counts how often its range is asked for.
class counting {
 public:
  explicit counting(const quantization_spec& s) : inner_(s) {}
  void observe(tensor_view<const float> x) { inner_.observe(x); }
  void reset() { inner_.reset(); }
  index_t units() const { return inner_.units(); }
  std::int64_t samples() const { return inner_.samples(); }
  std::int64_t nonfinite() const { return inner_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const {
    ++ranges;
    inner_.range(lo, hi);
  }
  void save(state_writer& w) const { inner_.save(w); }
  void load(state_reader& r) { inner_.load(r); }
  void merge(const counting& other) { inner_.merge(other.inner_); }
  static inline int ranges = 0;

 private:
  global_min_max inner_;
};

}  // namespace

TEST_CASE("fake_quantizer: parameters are derived when they are needed, once") {
  register_observer("counting",
                    [](const quantization_spec& s) { return any_observer(counting(s)); });
  const quantization_spec s{.qparam_calculator = "counting"};
  fake_quantizer f(s, target::activation);
  fake_quantizer other = f;
  f.enable_fake_quant(false);
  counting::ranges = 0;
  for (std::uint64_t batch = 0; batch < 5; ++batch) forward(f, sample(shape{40}, 60 + batch));
  other.observe(view(sample(shape{40}, 70, 3)));
  f.merge(other);
  CHECK(f.initialized());
  CHECK(counting::ranges == 0);
  f.enable_fake_quant(true);
  f.enable_observer(false);
  const tensor<float> x = sample(shape{40}, 80);
  const tensor<float> y = forward(f, x);
  CHECK(forward(f, x) == y);
  CHECK(y == quantized(x, f.params()));
  CHECK(counting::ranges == 1);
  f.enable_observer(true);  // training needs them after every batch
  forward(f, x);
  CHECK(counting::ranges == 2);

  // A range whose width overflows is an error of those who need parameters.
  const float most = std::numeric_limits<float>::max();
  fake_quantizer wide({.qscheme = qscheme::asymmetric}, target::activation);
  const tensor<float> ends(shape{2}, {-most, most});
  wide.observe(view(ends));
  CHECK_ERROR(wide.params(), non_finite, "too wide");
  CHECK_ERROR(forward(wide, ends), non_finite, "too wide");
  CHECK(wide.samples() == 2);  // a failing forward() adds nothing
}

TEST_CASE("fake_quantizer: without data there are no parameters") {
  fake_quantizer f({}, target::weight);
  CHECK_FALSE(f.initialized());
  CHECK_ERROR(f.params(), invalid_state, "no tensor was observed");
  f.enable_observer(false);
  const tensor<float> x = sample(shape{3}, 3);
  CHECK_ERROR(forward(f, x), invalid_state, "no tensor was observed");
  f.enable_fake_quant(false);
  CHECK(forward(f, x) == x);
  f.enable_observer(true);
  f.enable_fake_quant(true);
  forward(f, tensor<float>(shape{0, 4}));  // an empty tensor is no data
  CHECK_FALSE(f.initialized());
}

TEST_CASE("fake_quantizer: blocks that do not divide disable it for good, with a reason") {
  fake_quantizer f({.granularity = granularity::per_block(32, 0)}, target::weight);
  const tensor<float> x = sample(shape{100, 3}, 4);
  CHECK(forward(f, x) == x);
  CHECK(f.disabled());
  CHECK(f.disabled_reason().find("block size 32 does not divide extent 100 of axis 0") !=
        std::string::npos);
  CHECK(f.disabled_reason().find("[100, 3]") != std::string::npos);
  CHECK(f.disabled_by() == lutra::block_mismatch{0, 32, shape{100, 3}});
  const tensor<float> fits = sample(shape{64, 3}, 5);
  CHECK(forward(f, fits) == fits);
  CHECK_FALSE(f.initialized());
  CHECK_ERROR(f.params(), invalid_state, "blocks do not divide", "disabled: block size 32",
              "short_groups::allow");

  fake_quantizer good({.granularity = granularity::per_block(32, 0)}, target::weight);
  CHECK_FALSE(forward(good, fits) == fits);
  CHECK_FALSE(good.disabled());
  CHECK(good.params().scale.size() == 6);
}

TEST_CASE(
    "fake_quantizer: blocks that do not divide disable it whatever is switched on or pinned") {
  const tensor<float> whole = sample(shape{4, 64}, 5);
  const tensor<float> part = sample(shape{4, 60}, 6);
  const quantization_spec free{.dtype = dtype::int4, .granularity = granularity::per_block(32, 1)};
  quantization_spec pinned = free;
  pinned.float_range = {-1.0F, 1.0F};
  for (const quantization_spec& s : {free, pinned}) {
    for (const bool observing : {false, true}) {
      fake_quantizer f(s, target::weight);
      f.observe(view(whole));
      f.enable_observer(observing);
      CHECK_FALSE(forward(f, whole) == whole);
      CHECK(forward(f, part) == part);
      CHECK(f.disabled());
      CHECK(f.disabled_reason().find("[4, 60]") != std::string::npos);
      fake_quantizer g(s, target::weight);
      g.observe(view(whole));
      g.enable_observer(observing);
      tensor<double> x(shape{4, 60});
      for (double& e : x.elements()) e = 0.3;
      tensor<double> y(shape{4, 60});
      g.forward(view(std::as_const(x)), view(y));
      CHECK(y == x);
      CHECK(g.disabled());
    }
    fake_quantizer transparent(s, target::weight);
    transparent.observe(view(whole));
    transparent.set_switches(false, false);
    CHECK(forward(transparent, part) == part);
    CHECK_FALSE(transparent.disabled());
  }
}

TEST_CASE("fake_quantizer: other misfits are errors and change nothing") {
  fake_quantizer f({.granularity = granularity::per_channel(1)}, target::weight);
  CHECK_ERROR(forward(f, sample(shape{5}, 6)), invalid_argument, "axis out of bounds");
  CHECK_FALSE(f.disabled());
  forward(f, sample(shape{5, 3}, 6));
  const qparams before = f.params();
  CHECK_ERROR(forward(f, sample(shape{5, 4}, 6)), shape_mismatch, "number of units", "4 for shape",
              "3");
  CHECK(f.params() == before);
  CHECK(f.samples() == 15);
  tensor<float> small(shape{2});
  const tensor<float> x = sample(shape{3, 3}, 7);
  CHECK_ERROR(f.forward(view(x), view(small)), shape_mismatch, "shapes differ");
}

TEST_CASE("fake_quantizer: a tensor with as many blocks in other places is refused") {
  const quantization_spec s{.dtype = dtype::int4,
                            .granularity = granularity::per_block(32, 1),
                            .qparam_calculator = "global_minmax"};
  const tensor<float> wide = sample(shape{4, 64}, 90);
  const tensor<float> tall = sample(shape{8, 32}, 91);
  fake_quantizer other(s, target::weight);
  other.observe(view(tall));
  for (const auto& [observing, quantizing] :
       {std::pair(false, true), std::pair(true, false), std::pair(true, true)}) {
    fake_quantizer f(s, target::weight);
    f.observe(view(wide));
    f.set_switches(observing, quantizing);
    const auto bytes = f.save();
    CHECK_ERROR(forward(f, tall), shape_mismatch, "lie elsewhere", "grid [8, 1] for shape [8, 32]",
                "grid [4, 2]");
    const tensor<double> doubles(shape{8, 32});
    tensor<double> out(shape{8, 32});
    CHECK_ERROR(f.forward(view(doubles), view(out)), shape_mismatch, "lie elsewhere");
    CHECK_ERROR(f.observe(view(tall)), shape_mismatch, "lie elsewhere");
    CHECK_ERROR(f.merge(other), incompatible, "different units", "[8, 1]", "[4, 2]");
    CHECK_ERROR(f.append(other), incompatible, "different units", "[8, 1]", "[4, 2]");
    CHECK(f.save() == bytes);
    CHECK_FALSE(f.disabled());
    fake_quantizer loaded(s, target::weight);
    loaded.load(bytes);
    CHECK(loaded.save() == bytes);
    CHECK_ERROR(forward(loaded, tall), shape_mismatch, "lie elsewhere");
    CHECK_ERROR(loaded.merge(other), incompatible, "different units");
    fake_quantizer merged(s, target::weight);
    merged.merge(loaded);
    CHECK_ERROR(merged.observe(view(tall)), shape_mismatch, "lie elsewhere");
    forward(f, wide);
  }
  fake_quantizer transparent(s, target::weight);
  transparent.observe(view(wide));
  transparent.set_switches(false, false);
  CHECK(forward(transparent, tall) == tall);
}

TEST_CASE("fake_quantizer: where units of an observer that does not look lie is compared as well") {
  register_observer("anywhere", [](const quantization_spec& s) {
    struct anywhere : static_range {  // knows the number of units alone
      using static_range::static_range;
      void observe(tensor_view<const float> x) {
        reset();
        static_range::observe(x);
      }
    };
    return any_observer(anywhere(s));
  });
  fake_quantizer f({.granularity = granularity::per_block(2, 1), .qparam_calculator = "anywhere"},
                   target::weight);
  forward(f, sample(shape{2, 4}, 92));
  CHECK_ERROR(forward(f, sample(shape{4, 2}, 93)), shape_mismatch, "lie elsewhere");
  CHECK_ERROR(f.observe(view(sample(shape{4, 2}, 93))), shape_mismatch, "lie elsewhere");
}

namespace {
// The poorest observer: it neither knows where its units lie nor can be told.
class somewhere {
 public:
  explicit somewhere(const quantization_spec& s) : inner_(s) {}
  void observe(tensor_view<const float> x) { inner_.observe(x); }
  void merge(const somewhere& other) { inner_.merge(other.inner_); }
  void reset() { inner_.reset(); }
  index_t units() const { return inner_.units(); }
  std::int64_t samples() const { return inner_.samples(); }
  std::int64_t nonfinite() const { return inner_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const { inner_.range(lo, hi); }
  void save(state_writer& w) const {
    w.i64(units());
    w.i64(samples());
    std::vector<float> lo(static_cast<std::size_t>(units())), hi(lo.size());
    range(lo, hi);
    w.f32s(lo);
    w.f32s(hi);
  }
  void load(state_reader& r) {
    state_writer w;  // as the first version of global_minmax, which had no grid
    const std::int64_t units = r.i64();
    for (const std::int64_t v : {units, r.i64(), std::int64_t{0}}) w.i64(v);
    const unit_ranges ranges = load_ranges(r, units);
    w.f32s(ranges.lo);
    w.f32s(ranges.hi);
    state_reader first(w.bytes(), "somewhere");
    inner_.load(first);
  }

 private:
  global_min_max inner_;
};
static_assert(observer<somewhere> && !placed_observer<somewhere>);

// The state with the grid of its units replaced, wherever it stands (from the `skip`th on).
std::vector<std::uint8_t> with_grid(const fake_quantizer& f, const shape& grid, int skip) {
  std::vector<std::uint8_t> bytes = f.save();
  const auto bytes_of = [](const shape& s) {
    state_writer w;
    w.u8(1);
    w.extents(s);
    return w.take();
  };
  const auto from = bytes_of(*f.units().grid());
  const auto to = bytes_of(grid);
  auto at = bytes.begin();
  for (int i = 0; i <= skip; ++i) {
    at = std::search(at + (i == 0 ? 0 : 1), bytes.end(), from.begin(), from.end());
    REQUIRE(at != bytes.end());
  }
  std::copy(to.begin(), to.end(), at);
  bytes.resize(bytes.size() - 8);
  const std::uint64_t hash = checksum_of(bytes);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(hash >> (8 * i)));
  return bytes;
}
}  // namespace

TEST_CASE("fake_quantizer: an observer of one's own need not know where its units lie") {
  register_observer("somewhere",
                    [](const quantization_spec& s) { return any_observer(somewhere(s)); });
  const quantization_spec s{.granularity = granularity::per_block(32, 1),
                            .qparam_calculator = "somewhere"};
  const tensor<float> wide = sample(shape{4, 64}, 97);
  const tensor<float> tall = sample(shape{8, 32}, 98);
  fake_quantizer f(s, target::weight), other(s, target::weight), merged(s, target::weight);
  forward(f, wide);
  other.observe(view(tall));
  CHECK(f.units().grid() == shape{4, 2});
  fake_quantizer loaded(s, target::weight);
  loaded.load(f.save());
  CHECK(loaded.save() == f.save());
  merged.merge(loaded);
  for (fake_quantizer* g : {&f, &loaded, &merged}) {
    g->set_switches(false, true);
    CHECK_ERROR(forward(*g, tall), shape_mismatch, "lie elsewhere");
    CHECK_ERROR(g->observe(view(tall)), shape_mismatch, "lie elsewhere");
    CHECK_ERROR(g->merge(other), incompatible, "different units");
  }
}

TEST_CASE(
    "fake_quantizer: earlier states of an observer that does not know its grid keep their number "
    "of units") {
  register_observer("somewhere",
                    [](const quantization_spec& s) { return any_observer(somewhere(s)); });
  const quantization_spec s{.granularity = granularity::per_block(32, 1),
                            .qparam_calculator = "somewhere"};
  fake_quantizer f(s, target::weight);
  f.observe(view(sample(shape{4, 64}, 97)));
  for (const int version : {2, 3, 4}) {
    CAPTURE(version);
    fake_quantizer g(s, target::weight), other(s, target::weight);
    g.load(test::saved_as_version(version, f));
    CHECK(g.units().count() == 8);
    CHECK_FALSE(g.units().grid().has_value());
    g.set_switches(false, true);
    CHECK_ERROR(forward(g, sample(shape{4, 96}, 96)), shape_mismatch, "number of units");
    other.observe(view(sample(shape{4, 96}, 96)));
    CHECK_ERROR(g.merge(other), incompatible, "different units");
    forward(g, sample(shape{4, 64}, 95));
    CHECK(g.units().grid() == shape{4, 2});
  }
}

TEST_CASE("fake_quantizer: a state whose grids differ is refused") {
  const quantization_spec s{.granularity = granularity::per_block(32, 1)};
  fake_quantizer f(s, target::weight), g(s, target::weight);
  f.observe(view(sample(shape{4, 64}, 99)));
  for (const int which : {0, 1}) {  // the observer's, the fake-quantizer's
    CHECK_ERROR(g.load(with_grid(f, {2, 4}, which)), corrupt_data, "grid of the units",
                "8 units in grid [4, 2]", "8 units in grid [2, 4]");
    CHECK_ERROR(g.load(with_grid(f, {4, 4}, which)), corrupt_data, "grid of the units");
  }
  CHECK_FALSE(g.initialized());
  g.load(with_grid(f, {4, 2}, 1));
  CHECK(g.save() == f.save());
}

TEST_CASE("fake_quantizer: states without a grid learn it from the first tensor") {
  const quantization_spec s{.granularity = granularity::per_block(32, 1)};
  const tensor<float> wide = sample(shape{4, 64}, 94);
  const tensor<float> tall = sample(shape{8, 32}, 95);
  fake_quantizer f(s, target::weight);
  f.observe(view(wide));
  for (const int version : {2, 3, 4}) {
    CAPTURE(version);
    for (const bool observing : {false, true}) {
      fake_quantizer g(s, target::weight);
      g.load(test::saved_as_version(version, f));
      CHECK(g.units().count() == 8);
      CHECK_FALSE(g.units().grid().has_value());
      CHECK(g.params() == f.params());
      g.set_switches(observing, true);
      CHECK_ERROR(forward(g, sample(shape{4, 96}, 96)), shape_mismatch, "number of units");
      forward(g, wide);
      CHECK(g.units().grid() == shape{4, 2});
      CHECK_ERROR(forward(g, tall), shape_mismatch, "lie elsewhere");
      CHECK_ERROR(g.observe(view(tall)), shape_mismatch, "lie elsewhere");
      fake_quantizer merged(s, target::weight);
      merged.load(test::saved_as_version(version, f));
      merged.merge(f);
      CHECK_ERROR(forward(merged, tall), shape_mismatch, "lie elsewhere");
    }
  }
}

TEST_CASE("fake_quantizer: a tensor too wide for a scale leaves statistics and parameters alone") {
  const tensor<float> good = sample(shape{4, 8}, 4);
  const tensor<float> wide(shape{2}, {-3e38F, 3e38F});
  for (const std::string_view key : {"static", "global_minmax", "histogram_percentile",
                                     "histogram_mse", "histogram_entropy", "statistics"}) {
    CAPTURE(key);
    fake_quantizer f({.qscheme = qscheme::asymmetric, .qparam_calculator = key},
                     target::activation);
    CHECK_ERROR(forward(f, wide), non_finite, "wide");
    CHECK_FALSE(f.initialized());
    const tensor<float> out = forward(f, good);
    const qparams p = f.params();
    const auto bytes = f.save();
    CHECK_ERROR(forward(f, wide), non_finite, "wide");
    const tensor<double> wide_doubles(shape{2}, {-3e38, 3e38});
    tensor<double> doubles(shape{2});
    CHECK_ERROR(f.forward(view(wide_doubles), view(doubles)), non_finite, "wide");
    CHECK(f.save() == bytes);
    CHECK(f.params() == p);
    f.enable_observer(false);
    CHECK(forward(f, good) == out);
  }
}

TEST_CASE("fake_quantizer: almost too wide statistics, tensors and pinned ends fail as a whole") {
  const tensor<float> narrow = sample(shape{4, 8}, 5);
  const tensor<float> wide(shape{2}, {-3e38F, 3e38F});
  const tensor<float> nearly(shape{2}, {-8e37F, 8e37F});
  for (const std::string_view key : {"global_minmax", "histogram_mse", "statistics"}) {
    CAPTURE(key);
    const quantization_spec s{.qscheme = qscheme::asymmetric, .qparam_calculator = key};
    fake_quantizer f(s, target::activation);
    f.observe(view(wide));  // calibration derives nothing
    const auto bytes = f.save();
    CHECK_ERROR(forward(f, narrow), non_finite, "wide");
    CHECK(f.save() == bytes);
    fake_quantizer g(s, target::activation);
    forward(g, nearly);
    CHECK(g.samples() == 2);
    forward(g, narrow);
    CHECK(g.samples() == 34);
    CHECK(forward(g, narrow) == quantized(narrow, g.params()));
    quantization_spec pinned = s;
    pinned.float_range.lo = -3e38F;
    fake_quantizer h(pinned, target::activation);
    forward(h, narrow);
    const auto good = h.save();
    CHECK_ERROR(forward(h, nearly), non_finite, "wide");
    CHECK(h.save() == good);
    quantization_spec half_scales = s;
    half_scales.scale_rules.scale_type = dtype::float16;
    fake_quantizer scales(half_scales, target::activation);
    const tensor<float> beyond_half(shape{2}, {-3e7F, 3e7F});
    CHECK_ERROR(forward(scales, beyond_half), non_finite, "float16");
    CHECK_FALSE(scales.initialized());
  }
}

namespace {
// An observer that counts its copies, and can say how wide it is.
class costly : public static_range {
 public:
  using static_range::static_range;
  costly(const costly& other) : static_range(other) { ++copies; }
  costly(costly&&) = default;
  costly& operator=(const costly& other) {
    ++copies;
    static_range::operator=(other);
    return *this;
  }
  costly& operator=(costly&&) = default;
  void observe(tensor_view<const float> x) {
    static_range::observe(x);
    for_each_element(x, [&](float e) { largest_ = std::max(largest_, std::fabs(e)); });
  }
  index_t state_bytes() const { return bytes; }
  bool within(float bound) const {
    ++asked;
    return largest_ <= bound;
  }
  static inline int copies = 0, asked = 0;
  static inline index_t bytes = 1 << 14;

 private:
  float largest_ = 0;
};
}  // namespace

TEST_CASE("fake_quantizer: large statistics are copied in training only near the largest float") {
  register_observer("costly", [](const quantization_spec& s) { return any_observer(costly(s)); });
  fake_quantizer f({.qparam_calculator = "costly"}, target::activation);
  costly::copies = 0;
  for (std::uint64_t step = 0; step < 3; ++step) forward(f, sample(shape{4, 8}, 40 + step, 1e6));
  CHECK(costly::copies == 0);
  tensor<float> wide = sample(shape{4, 8}, 44);
  wide[31] = 1e38F;
  forward(f, wide);
  CHECK(costly::copies == 1);
  CHECK(f.samples() == 4 * 32);
  // And where that is cheaper than to look at the tensor: of no more bytes than it has elements.
  for (const auto& [bytes, expected] : {std::pair<index_t, int>{33, 0}, {32, 1}, {0, 1}}) {
    fake_quantizer h({.qparam_calculator = "costly"}, target::activation);
    costly::copies = costly::asked = 0;
    costly::bytes = bytes;
    forward(h, sample(shape{4, 8}, 46));
    CHECK(costly::copies == expected);
    CHECK(costly::asked == 1 - expected);
  }
  costly::bytes = 1 << 14;
  // A range may lie beyond the data: a quarter of what parameters can be derived from is the limit.
  tensor<float> nearly = sample(shape{4, 8}, 45);
  nearly[31] = 0x1.8p123F;
  fake_quantizer g({.qparam_calculator = "costly"}, target::activation);
  costly::copies = 0;
  forward(g, nearly);
  CHECK(costly::copies == 1);
  // With both ends pinned there is nothing to learn, nor to look at, after the first tensor.
  fake_quantizer pinned({.qparam_calculator = "costly", .float_range = {-1.0F, 1.0F}},
                        target::activation);
  forward(pinned, nearly);
  costly::asked = 0;
  forward(pinned, nearly);
  CHECK(costly::asked == 0);
  CHECK(pinned.samples() == 32);
}

TEST_CASE("fake_quantizer: granularity can change until the first tensor") {
  fake_quantizer f({}, target::activation);
  f.set_granularity(granularity::per_channel(0));
  forward(f, sample(shape{3, 4}, 8));
  CHECK(f.params().scale.size() == 3);
  CHECK(f.spec().granularity == granularity::per_channel(0));
  CHECK_ERROR(f.set_granularity(granularity::per_tensor()), invalid_state,
              "granularity cannot change", "per_tensor");
}

TEST_CASE("fake_quantizer: a granularity that came too late for a disabled one is refused") {
  fake_quantizer f({.granularity = granularity::per_block(32, 0)}, target::weight);
  const tensor<float> x = sample(shape{100, 3}, 4);
  forward(f, x);
  REQUIRE(f.disabled());
  const std::string reason = f.disabled_reason();
  CHECK_ERROR(f.set_granularity(granularity::per_channel(0)), invalid_state,
              "granularity cannot change", "per_channel, axis 0", "disabled: block size 32");
  CHECK(f.disabled_reason() == reason);
}

TEST_CASE("fake_quantizer: a granularity that the observer refuses changes nothing") {
  fake_quantizer f({.qparam_calculator = "torch_histogram"}, target::activation);
  CHECK_ERROR(f.set_granularity(granularity::per_channel(0)), unsupported, "per tensor only");
  CHECK(f.spec().granularity == granularity::per_tensor());
  const tensor<float> x = sample(shape{4, 8}, 3);
  const tensor<float> out = forward(f, x);
  CHECK(out == quantized(x, f.params()));
}

TEST_CASE("fake_quantizer: two pinned ends are never moved") {
  fake_quantizer f({.qscheme = qscheme::asymmetric, .float_range = {-1.0F, 3.0F}},
                   target::activation);
  forward(f, sample(shape{4}, 9, 100));
  const qparams p = f.params();
  CHECK(p.scale[0] == 4.0F / 255.0F);
  forward(f, sample(shape{4}, 10, 0.001));
  CHECK(f.params() == p);
}

TEST_CASE("fake_quantizer: in place, strided, NaN passes through and is counted") {
  tensor<float> x = sample(shape{4, 6}, 11);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[7] = std::numeric_limits<float>::infinity();
  fake_quantizer f({}, target::activation);
  const tensor<float> out = forward(f, x);
  CHECK(std::isnan(out[5]));
  CHECK(out[7] == 127.0F * f.params().scale[0]);
  CHECK(f.nonfinite() == 2);
  const std::vector<index_t> strides = {1, 4};
  tensor<float> stored(shape{6, 4});
  const tensor_view<float> turned(stored.data(), x.extents(), strides);
  std::size_t next = 0;
  for_each_element(turned, [&](float& e) { e = x.elements()[next++]; });
  fake_quantizer g({}, target::activation);
  g.forward(turned, turned);
  const auto result = to_vector<float>(turned);
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (i != 5) CHECK(result[i] == out.elements()[i]);
  }
  g.enable_observer(false);
  g.enable_fake_quant(false);
  tensor<float> dense(x.extents());
  g.forward(turned, view(dense));  // transparent, strided to dense
  CHECK(dense[7] == result[7]);
}

TEST_CASE(
    "fake_quantizer: data without a finite element give no parameters, but an error that says so") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const tensor<float> none(shape{2, 3}, {nan, infinity, -infinity, nan, nan, nan});
  tensor<float> out(none.extents());
  for (const std::string_view key :
       {"static", "moving_average", "moving_average_count_aware", "global_minmax", "statistics",
        "histogram_percentile", "histogram_mse", "histogram_entropy", "torch_histogram"}) {
    CAPTURE(key);
    for (const float_range_t pinned :
         {float_range_t{}, float_range_t{-1.0F, {}}, float_range_t{{}, 1.0F}}) {
      const quantization_spec spec{.qparam_calculator = key, .float_range = pinned};
      fake_quantizer f(spec, target::activation);
      f.enable_fake_quant(false);
      f.forward(view(none), view(out));  // calibration counts them
      f.forward(view(none), view(out));
      CHECK(f.nonfinite() == 12);
      CHECK_ERROR(f.params(), non_finite, "no finite element was observed", "fake_quantizer",
                  "12 elements, all NaN or infinite");
      f.set_switches(false, true);
      CHECK_ERROR(f.forward(view(none), view(out)), non_finite, "no finite element");
      f.observe(view(sample(shape{2, 3}, 12)));  // from here on there are
      CHECK(f.params().scale[0] > 0.001F);
      f.forward(view(none), view(out));
      CHECK(std::isnan(out[0]));

      fake_quantizer training(spec, target::activation);
      const std::vector<std::uint8_t> before = training.save();
      CHECK_ERROR(training.forward(view(none), view(out)), non_finite, "no finite element",
                  "6 elements");
      CHECK(training.save() == before);
    }
    fake_quantizer known({.qparam_calculator = key, .float_range = {-1.0F, 1.0F}},
                         target::activation);
    known.forward(view(none), view(out));
    CHECK(known.params().scale[0] > 0.001F);
  }
}

TEST_CASE("fake_quantizer: one unit without a finite element has the parameters of one of zeros") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const tensor<float> some(shape{2, 2}, {nan, -std::numeric_limits<float>::infinity(), -1, 2});
  const tensor<float> zeros(shape{2, 2}, {0, 0, -1, 2});
  for (const std::string_view key : {"static", "moving_average", "moving_average_count_aware",
                                     "global_minmax", "statistics", "histogram_mse"}) {
    CAPTURE(key);
    const auto params = [&](const tensor<float>& x) {
      fake_quantizer f({.granularity = granularity::per_channel(0), .qparam_calculator = key},
                       target::activation);
      f.observe(view(x));
      return f.params();
    };
    CHECK(params(some) == params(zeros));
  }
}

TEST_CASE("fake_quantizer: the whole state survives save and load") {
  for (const std::string_view key : {"static", "moving_average", "global_minmax"}) {
    const quantization_spec s{.qscheme = qscheme::asymmetric,
                              .granularity = granularity::per_channel(0),
                              .qparam_calculator = key};
    fake_quantizer f(s, target::activation);
    for (std::uint64_t i = 0; i < 3; ++i) forward(f, sample(shape{3, 4}, 20 + i));
    f.enable_observer(false);
    fake_quantizer g(s, target::activation);
    g.load(f.save());
    CHECK(g.save() == f.save());
    CHECK(g.params() == f.params());
    CHECK_FALSE(g.observer_enabled());
    CHECK(g.fake_quant_enabled());
    CHECK(g.samples() == 36);
    f.enable_observer(true);  // and goes on exactly as the original
    g.enable_observer(true);
    const tensor<float> next = sample(shape{3, 4}, 30, 5);
    CHECK(forward(g, next) == forward(f, next));
    CHECK(g.save() == f.save());
  }
}

TEST_CASE("fake_quantizer: the switches follow a schedule, across save and load") {
  const quantization_spec s{};
  fake_quantizer f(s, target::activation);
  f.set_schedule(qat_schedule{.enable_observer = 1, .enable_fake_quant = 2, .disable_observer = 4});
  const tensor<float> x = sample(shape{4, 8}, 60);
  for (int step = 0; step < 6; ++step) {
    CAPTURE(step);
    CHECK(f.steps() == step);
    CHECK(f.observer_enabled() == (step >= 1 && step < 4));
    CHECK(f.fake_quant_enabled() == (step >= 2));
    forward(f, x);
    if (step == 3) {  // stopped and resumed in the middle
      fake_quantizer resumed(s, target::activation);
      resumed.load(f.save());
      CHECK(resumed.schedule() == f.schedule());
      CHECK(resumed.save() == f.save());
      f = resumed;
    }
    f.step();
  }
  CHECK(f.samples() == 3 * 32);
  CHECK_ERROR(f.enable_observer(true), invalid_state, "schedule");
  CHECK_ERROR(f.enable_fake_quant(false), invalid_state, "schedule");
  CHECK_ERROR(f.set_schedule(qat_schedule{.enable_observer = -1}), invalid_argument,
              "enable_observer", "-1");
  CHECK(f.schedule().has_value());
  f.set_schedule({});
  CHECK(f.fake_quant_enabled());
  f.enable_fake_quant(false);
  f.step();  // counted all the same
  CHECK(f.steps() == 7);
  CHECK_FALSE(f.fake_quant_enabled());
}

TEST_CASE("fake_quantizer: a schedule can be left aside and taken up again") {
  static_assert(noexcept(std::declval<fake_quantizer&>().set_switches(true, true)));
  static_assert(noexcept(std::declval<fake_quantizer&>().follow_schedule()));
  static_assert(noexcept(std::declval<fake_quantizer&>().step()));
  const quantization_spec s{};
  fake_quantizer f(s, target::activation);
  CHECK_FALSE(f.follows_schedule());
  f.follow_schedule();  // there is none
  CHECK_FALSE(f.follows_schedule());
  f.set_schedule(qat_schedule{.enable_observer = 2, .enable_fake_quant = 3});
  CHECK(f.follows_schedule());
  f.set_switches(true, false);
  CHECK_FALSE(f.follows_schedule());
  CHECK(f.observer_enabled());
  for (int i = 0; i < 4; ++i) f.step();
  CHECK(f.steps() == 4);
  CHECK_FALSE(f.fake_quant_enabled());
  f.enable_observer(false);  // by hand, as long as the schedule is left aside
  {
    fake_quantizer g(s, target::activation);
    g.load(f.save());
    CHECK(g.save() == f.save());
    CHECK_FALSE(g.follows_schedule());
    CHECK_FALSE(g.observer_enabled());
    CHECK(g.schedule() == f.schedule());
  }
  f.follow_schedule();
  CHECK(f.observer_enabled());
  CHECK(f.fake_quant_enabled());
  CHECK_ERROR(f.enable_observer(true), invalid_state, "schedule");
  f.set_steps(2);
  CHECK_FALSE(f.fake_quant_enabled());
  CHECK_ERROR(f.set_steps(-1), invalid_argument, "number of steps", "-1");
  CHECK(f.steps() == 2);
}

TEST_CASE("fake_quantizer: a state of version 2 is read, its schedule is followed") {
  const quantization_spec s{};
  fake_quantizer f(s, target::activation);
  forward(f, sample(shape{4, 8}, 61));
  fake_quantizer g(s, target::activation);
  g.load(test::saved_as_version(2, f));
  CHECK(test::saved_as_version(4, g) == test::saved_as_version(4, f));
  CHECK_FALSE(g.follows_schedule());
  f.set_schedule(qat_schedule{.enable_observer = 5, .enable_fake_quant = 6});
  g.load(test::saved_as_version(2, f));
  CHECK(g.follows_schedule());
  CHECK_FALSE(g.observer_enabled());
  CHECK(test::saved_as_version(4, g) == test::saved_as_version(4, f));
  std::vector<std::uint8_t> newer = f.save();
  newer[4] = 6;
  CHECK_ERROR(g.load(newer), unsupported, "another version", "6", "2..5");
}

TEST_CASE("fake_quantizer: rules of scales reach the parameters") {
  tensor<float> x(shape{2, 16});
  for (index_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 1e-8F;
  const auto params = [&](const quantization_spec& s) {
    fake_quantizer f(s, target::weight);
    forward(f, x);
    return f.params();
  };
  CHECK(params({}).scale[0] == min_scale);
  CHECK(params({.scale_rules = {.floor = scale_floor::relative}}).scale[0] == 31e-8F / 127.5F);
  CHECK(params({.scale_rules = {.no_clipping = true, .floor = scale_floor::relative}}).scale[0] ==
        31e-8F / 127.0F);
  const qparams p = params({.dtype = dtype::float4_e2m1fn,
                            .granularity = granularity::per_block(16, 1),
                            .scale_dtype = dtype::float8_e4m3fn});
  CHECK(p.scale.size() == 2);
  CHECK(p.scale[1] == doctest::Approx(31e-8 / 6).epsilon(1e-6));
}

TEST_CASE("fake_quantizer: two threads calibrate, each its own object, then merge") {
  const quantization_spec s{.dtype = dtype::int4, .qparam_calculator = "histogram_mse"};
  fake_quantizer whole(s, target::activation);
  fake_quantizer parts[2] = {fake_quantizer(s, target::activation),
                             fake_quantizer(s, target::activation)};
  std::vector<tensor<float>> batches;
  for (std::uint64_t i = 0; i < 8; ++i) batches.push_back(sample(shape{16, 32}, 70 + i));
  for (const auto& x : batches) whole.observe(view(x));
  const auto observe = [&](std::size_t part) {
    for (std::size_t i = part; i < batches.size(); i += 2) parts[part].observe(view(batches[i]));
  };
  std::thread other(observe, 1);
  observe(0);
  other.join();
  parts[0].merge(parts[1]);
  CHECK(parts[0].save() == whole.save());
  CHECK(parts[0].params() == whole.params());
  // Afterwards both may quantize with the same parameters.
  const qparams p = whole.params();
  tensor<float> a(shape{16, 32}), b(shape{16, 32});
  std::thread reader([&] { fake_quantize(view(batches[0]), p, view(a)); });
  fake_quantize(view(batches[0]), p, view(b));
  reader.join();
  CHECK(a == b);
}

TEST_CASE("fake_quantizer: saved before data, and disabled") {
  const quantization_spec s{.granularity = granularity::per_block(4, 0)};
  fake_quantizer empty(s, target::weight);
  fake_quantizer f(s, target::weight);
  forward(f, sample(shape{8}, 12));
  f.load(empty.save());
  CHECK_FALSE(f.initialized());
  CHECK(f.samples() == 0);
  fake_quantizer disabled(s, target::weight);
  forward(disabled, sample(shape{7}, 13));
  REQUIRE(disabled.disabled());
  f.load(disabled.save());
  CHECK(f.disabled());
  CHECK(f.disabled_reason() == disabled.disabled_reason());
  CHECK(f.disabled_by() == lutra::block_mismatch{0, 4, shape{7}});
  // Version 2 does not say by what; an object that knows goes on.
  f.load(test::saved_as_version(2, disabled));
  CHECK(f.save() == disabled.save());
  CHECK_ERROR(empty.load(test::saved_as_version(2, disabled)), unsupported, "what disabled it", "2",
              "5");
  CHECK_FALSE(empty.disabled());
}

TEST_CASE("fake_quantizer: damaged states are refused and change nothing") {
  const quantization_spec s{.granularity = granularity::per_channel(0)};
  fake_quantizer f(s, target::weight);
  forward(f, sample(shape{2, 5}, 14));
  const std::vector<std::uint8_t> good = f.save();
  fake_quantizer g(s, target::weight);
  const std::vector<std::uint8_t> before = g.save();
  for (std::size_t n = 0; n < good.size(); ++n) {
    CHECK_ERROR(g.load(std::span<const std::uint8_t>(good).first(n)), corrupt_data,
                "fake_quantizer::load");
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<std::uint8_t> bad = good;
    bad[i] = static_cast<std::uint8_t>(bad[i] ^ 0x10U);
    bool refused = false;
    try {
      g.load(bad);
    } catch (const error& e) {
      refused = e.code() == errc::corrupt_data || e.code() == errc::unsupported;
    }
    CHECK_MESSAGE(refused, i);
  }
  std::vector<std::uint8_t> longer = good;
  longer.push_back(0);
  CHECK_ERROR(g.load(longer), corrupt_data, "checksum");
  CHECK(g.save() == before);
  g.load(good);
  CHECK(g.params() == f.params());
}

TEST_CASE("fake_quantizer: a number of steps that would overflow is refused") {
  fake_quantizer f(quantization_spec{}, target::activation);
  constexpr std::uint64_t steps = 251;
  for (std::uint64_t i = 0; i < steps; ++i) f.step();
  const auto load = [&](std::uint64_t count) {
    std::vector<std::uint8_t> bytes = f.save();
    std::array<std::uint8_t, 8> field{};
    const auto put = [&](auto at, std::uint64_t v) {
      for (int i = 0; i < 8; ++i) *at++ = static_cast<std::uint8_t>(v >> (8 * i));
    };
    put(field.begin(), steps);
    const auto at = std::search(bytes.begin(), bytes.end(), field.begin(), field.end());
    REQUIRE(at != bytes.end());
    put(at, count);
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (auto b = bytes.begin(); b != bytes.end() - 8; ++b) hash = (hash ^ *b) * 0x100000001b3ULL;
    put(bytes.end() - 8, hash);
    fake_quantizer g(quantization_spec{}, target::activation);
    g.load(bytes);
    return g.steps();
  };
  CHECK(load(77) == 77);
  CHECK(load(static_cast<std::uint64_t>(largest_count)) == largest_count);
  CHECK_ERROR(load(std::uint64_t{1} << 62), corrupt_data, "number of steps", "2^62");
  CHECK_ERROR(load(~std::uint64_t{0} >> 1), corrupt_data, "number of steps");
}

TEST_CASE("fake_quantizer: a state of another spec or target is refused") {
  const quantization_spec s{};
  fake_quantizer f(s, target::weight);
  forward(f, sample(shape{2, 5}, 15));
  const std::vector<std::uint8_t> state = f.save();
  const auto load_into = [&](const quantization_spec& other, target t) {
    fake_quantizer(other, t).load(state);
  };
  load_into(s, target::weight);
  CHECK_ERROR(load_into(s, target::activation), incompatible, "another spec",
              "got target weight, allowed: target activation");
  CHECK_ERROR(load_into({.dtype = dtype::int4}, target::weight), incompatible, "another spec",
              "int4");
  CHECK_ERROR(load_into({.granularity = granularity::per_channel(0)}, target::weight), incompatible,
              "per_channel");
  CHECK_ERROR(load_into({.averaging_constant = 0.5}, target::weight), incompatible, "another spec",
              "got averaging_constant 0.01, allowed: averaging_constant 0.5");
  CHECK_ERROR(load_into({.float_range = {0.0F, {}}}, target::weight), incompatible, "another spec");
  CHECK_ERROR(load_into({.scale_rules = {.no_clipping = true}}, target::weight), incompatible,
              "another spec");
  CHECK_ERROR(load_into({.qparam_calculator = "global_minmax"}, target::weight), incompatible,
              "global_minmax");
}

TEST_CASE("fake_quantizer: parts observed apart are merged or appended") {
  const quantization_spec s{.qparam_calculator = "global_minmax"};
  const auto batch = [](std::uint64_t i) { return sample(shape{50}, 40 + i); };
  fake_quantizer whole(s, target::activation), a(s, target::activation), b(s, target::activation);
  for (std::uint64_t i = 0; i < 6; ++i) {
    whole.observe(view(batch(i)));
    (i % 2 == 0 ? a : b).observe(view(batch(i)));
  }
  fake_quantizer ab = a, ba = b;
  ab.merge(b);
  ba.merge(a);
  CHECK(ab.save() == whole.save());
  CHECK(ba.save() == whole.save());
  fake_quantizer average({}, target::activation);
  average.observe(view(batch(1)));
  CHECK_ERROR(average.merge(average), unsupported, "cannot be combined", "fake_quantizer::merge",
              "'moving_average', allowed: append(), in order");
  fake_quantizer later({}, target::activation);
  later.observe(view(batch(2)));
  fake_quantizer both = average;
  both.observe(view(batch(2)));
  average.append(later);
  CHECK(average.params().scale[0] == doctest::Approx(both.params().scale[0]));
  CHECK(average.samples() == 100);
  CHECK_ERROR(whole.merge(average), incompatible, "different specs",
              "got qparam_calculator moving_average, allowed: qparam_calculator global_minmax");
  quantization_spec unclipped = s;
  unclipped.scale_rules.no_clipping = true;
  CHECK_ERROR(whole.merge(fake_quantizer(unclipped, target::activation)), incompatible,
              "no_clipping true, allowed: scale_rules.no_clipping false");
}

TEST_CASE("fake_quantizer: half, bfloat16 and double tensors see the same quantizer") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    fake_quantizer q({}, target::activation), floats({}, target::activation);
    const shape extents{2, 9};
    tensor<T> x(extents), y(extents);
    tensor<float> f(extents), g(extents);
    for (index_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<T>(0.37F * static_cast<float>(i) - 2.0F);
      f[i] = static_cast<float>(x[i]);
    }
    q.forward(view(x), view(y));
    floats.forward(view(f), view(g));
    CHECK(q.params() == floats.params());  // scales are not rounded to T
    CHECK(q.samples() == x.size());
    for (index_t i = 0; i < x.size(); ++i)
      CHECK(static_cast<float>(y[i]) == static_cast<float>(static_cast<T>(g[i])));

    q.enable_fake_quant(false);  // then nothing is converted, not even a double to float
    x[3] = static_cast<T>(1.0F);
    if constexpr (std::same_as<T, double>) x[3] = 1.0 + 0x1p-40;
    q.forward(view(x), view(y));
    for (index_t i = 0; i < x.size(); ++i) CHECK(std::memcmp(&x[i], &y[i], sizeof(T)) == 0);
    const index_t before = q.samples();
    q.observe(view(x));
    CHECK(q.samples() == before + x.size());
  };
  check(half{});
  check(bfloat16{});
  check(double{});
}
