#include <lutra/observe/moving_average.hpp>

#include "../errors.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>

#include "range_of.hpp"
#include "range_record.hpp"

using namespace lutra;

namespace {
moving_average seen(const quantization_spec& s, const std::vector<std::vector<float>>& batches,
                    running_type type = running_type::float64) {
  moving_average o(s, type);
  for (const auto& b : batches) o.observe(view(b));
  return o;
}
}  // namespace

TEST_CASE("moving_average: first batch is copied, later ones are averaged in") {
  quantization_spec s;
  s.averaging_constant = 0.25;
  const moving_average o = seen(s, {{-4, 8}, {-8, 4}, {2, 3}});
  // Exact in binary: -4, then 0.25 * -8 + 0.75 * -4 = -5, then 0.75 * -5 (zero is in the range).
  CHECK(range_of(o) == ends{{-3.75F}, {0.25F * 3 + 0.75F * 7}});
  CHECK(o.samples() == 6);
}

TEST_CASE("moving_average: doubles follow a drift that bfloat16 cannot") {
  std::vector<std::vector<float>> batches = {{1.0F}};
  batches.insert(batches.end(), 500, {1.1F});
  CHECK(range_of(seen({}, batches, running_type::bfloat16)).second[0] == 1.0F);
  const double expected = 1.1 - 0.1 * std::pow(0.99, 500);
  CHECK(static_cast<double>(range_of(seen({}, batches)).second[0]) ==
        doctest::Approx(expected).epsilon(1e-6));
  CHECK(static_cast<double>(range_of(seen({}, batches, running_type::float32)).second[0]) ==
        doctest::Approx(expected).epsilon(1e-5));
}

TEST_CASE("moving_average: as float32 with 1 - c of the double, as the reference") {
  random_stream random(9);
  for (int i = 1; i < 2000; ++i) {
    const double c = i < 1000 ? i / 1000.0 : random.uniform();
    CAPTURE(c);
    quantization_spec s;
    s.averaging_constant = c;
    const auto kept = static_cast<float>(1.0 - c);
    moving_average o(s, running_type::float32);
    float running = 0;
    for (int n = 0; n < 8; ++n) {
      const auto x = static_cast<float>(1 + random.uniform());
      const auto product = [](float a, float b) {  // never fused: exact in double
        return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
      };
      running = n == 0 ? x : product(static_cast<float>(c), x) + product(kept, running);
      o.observe(view(std::vector<float>{x}));
    }
    CHECK(range_of(o).second[0] == running);
  }
}

TEST_CASE("moving_average: a unit without a finite element keeps its average") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  moving_average o({.granularity = granularity::per_channel(0), .averaging_constant = 0.5});
  o.observe(view(tensor<float>(shape{2, 1}, {nan, 4})));
  CHECK(range_of(o) == ends{{0, 0}, {0, 4}});
  o.observe(view(tensor<float>(shape{2, 1}, {8, nan})));  // the first unit starts here
  CHECK(range_of(o) == ends{{0, 0}, {8, 4}});
  CHECK(o.nonfinite() == 2);
}

TEST_CASE("moving_average: append continues in order, up to rounding in double") {
  random_stream random(8);
  quantization_spec s;
  s.averaging_constant = 0.1;
  std::vector<std::vector<float>> batches;
  for (int i = 0; i < 40; ++i) {
    batches.push_back(
        {static_cast<float>(random.normal()), static_cast<float>(random.normal()) * 3});
  }
  const moving_average whole = seen(s, batches);
  for (const std::ptrdiff_t cut : {0, 1, 7, 39, 40}) {
    moving_average first = seen(s, {batches.begin(), batches.begin() + cut});
    moving_average rest = seen(s, {batches.begin() + cut, batches.end()});
    first.append(rest);
    CHECK(static_cast<double>(range_of(first).second[0]) ==
          doctest::Approx(static_cast<double>(range_of(whole).second[0])).epsilon(1e-7));
    CHECK(first.samples() == whole.samples());
    moving_average three = seen(s, {batches.begin(), batches.begin() + cut});
    three.append(seen(s, {batches.begin() + cut, batches.end()}));
    three.append(seen(s, batches));
    moving_average twice = batches.empty() ? whole : seen(s, batches);
    for (const auto& b : batches) twice.observe(view(b));
    CHECK(static_cast<double>(range_of(three).first[0]) ==
          doctest::Approx(static_cast<double>(range_of(twice).first[0])).epsilon(1e-6));
  }
  moving_average other(quantization_spec{});
  CHECK_ERROR(other.append(whole), incompatible, "averaging constants", "0.1", "0.01");
}

TEST_CASE("moving_average: save and load") {
  const moving_average o = seen({}, {{1, -2}, {3, -4}});
  check_save_load(o, moving_average(quantization_spec{}));
  const std::vector<std::uint8_t> bytes = saved_bytes(o);
  state_reader r(bytes, "load");
  moving_average narrow(quantization_spec{}, running_type::float32);
  CHECK_ERROR(narrow.load(r), corrupt_data, "type of the running state");
}

TEST_CASE("moving_average: count-aware, the first batch weighs what the others do") {
  quantization_spec s;
  s.averaging_constant = 0.25;
  const auto aware = [&](const std::vector<std::vector<float>>& batches) {
    moving_average o(s, running_type::float64, averaging::count_aware);
    for (const auto& b : batches) o.observe(view(b));
    return o;
  };
  CHECK(range_of(aware({{-4, 8}})) == ends{{-4}, {8}});
  // Weights 0.25 * 0.75 and 0.25, over their sum: 3/7 and 4/7.
  CHECK(range_of(aware({{0, 7}, {0, 14}})).second[0] == doctest::Approx(11.0));
  // 100 batches of 1 after one of 1000: (1 - c)^100 of it is left, not counting its own small weight.
  std::vector<std::vector<float>> batches = {{1000.0F}};
  batches.insert(batches.end(), 100, {1.0F});
  quantization_spec slow;
  slow.averaging_constant = 0.01;
  moving_average o(slow, running_type::float64, averaging::count_aware);
  for (const auto& b : batches) o.observe(view(b));
  const double left = std::pow(0.99, 100);
  CHECK(range_of(o).second[0] ==
        doctest::Approx(1 + 999 * 0.01 * left / (1 - left * 0.99)).epsilon(1e-4));
  CHECK(range_of(seen(slow, batches)).second[0] == doctest::Approx(1 + 999 * left).epsilon(1e-4));
  // Parts in order give the same, and the kinds do not mix.
  moving_average parts = aware({{1, -2}, {3, -4}});
  parts.append(aware({{5, -6}, {1, -1}}));
  const auto whole = range_of(aware({{1, -2}, {3, -4}, {5, -6}, {1, -1}}));
  CHECK(range_of(parts).first[0] ==
        doctest::Approx(static_cast<double>(whole.first[0])).epsilon(1e-6));
  CHECK(range_of(parts).second[0] ==
        doctest::Approx(static_cast<double>(whole.second[0])).epsilon(1e-6));
  CHECK_ERROR(parts.append(seen(s, {{1}})), incompatible, "kinds differ");
  check_save_load(parts, aware({}));
  const std::vector<std::uint8_t> bytes = saved_bytes(parts);
  state_reader r(bytes, "load");
  moving_average plain(s);
  CHECK_ERROR(plain.load(r), corrupt_data, "type of the running state");
}

TEST_CASE("moving_average: count-aware, small constants and the largest values") {
  constexpr float most = std::numeric_limits<float>::max();
  for (const double c : {1.0, 0.01, 1e-6, 1e-12, 1e-17, 1e-30, 0x1p-126}) {
    for (const running_type type :
         {running_type::float64, running_type::float32, running_type::bfloat16}) {
      CAPTURE(c);
      CAPTURE(static_cast<int>(type));
      quantization_spec s;
      s.averaging_constant = c;
      moving_average o(s, type, averaging::count_aware);
      for (int i = 0; i < 3; ++i) o.observe(view(std::vector<float>{-2, 3}));
      CHECK(range_of(o).first[0] == doctest::Approx(-2).epsilon(0.02));
      CHECK(range_of(o).second[0] == doctest::Approx(3).epsilon(0.02));
      moving_average wide(s, type, averaging::count_aware);
      wide.observe(view(std::vector<float>{-most, most}));
      CHECK(range_of(wide).first[0] >= -most);
      CHECK(range_of(wide).second[0] <= most);
      CHECK(range_of(wide).second[0] > 0.98F * most);
    }
  }
}

TEST_CASE("moving_average: the largest values stay finite in every type of state") {
  constexpr float most = std::numeric_limits<float>::max();
  for (const averaging kind : {averaging::from_first, averaging::count_aware}) {
    for (const running_type type :
         {running_type::float64, running_type::float32, running_type::bfloat16}) {
      for (const double c : {0.01, 0.37, 1.0}) {
        CAPTURE(c);
        CAPTURE(static_cast<int>(type));
        quantization_spec s;
        s.averaging_constant = c;
        moving_average o(s, type, kind);
        for (int batch = 0; batch < 4; ++batch) {
          o.observe(view(std::vector<float>{-most, most}));
          moving_average twice = o;
          twice.append(o);
          for (const moving_average& m : {o, twice}) {
            CHECK(range_of(m).first[0] <= -0.98F * most);
            CHECK(range_of(m).second[0] >= 0.98F * most);
            check_save_load(m, moving_average(s, type, kind));
          }
        }
      }
    }
  }
}

TEST_CASE("moving_average: numbers of batches and samples that would overflow are refused") {
  const std::vector<std::uint8_t> good = saved_bytes(seen({}, {{1, -2}}));
  const auto load = [&](std::size_t at, std::uint64_t count) {
    std::vector<std::uint8_t> bytes = good;
    for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::uint8_t>(count >> (8 * i));
    state_reader r(bytes, "load");
    moving_average o(quantization_spec{});
    o.load(r);
    return o;
  };
  const std::size_t batches = good.size() - 8;
  const std::size_t samples = range_record::samples;
  for (const std::uint64_t many : {std::uint64_t{1} << 62, ~std::uint64_t{0} >> 1}) {
    CHECK_ERROR(load(batches, many), corrupt_data, "number of batches", "2^62");
    CHECK_ERROR(load(samples, many), corrupt_data, "counts of an observer", "2^62");
  }
  constexpr auto most = static_cast<std::uint64_t>(largest_count);
  moving_average o = load(batches, most);
  for (int i = 0; i < 3; ++i) o.append(load(batches, most));
  CHECK(saved_bytes(o) == [&] {
    std::vector<std::uint8_t> bytes = saved_bytes(load(batches, most));
    bytes[samples] = 8;  // four parts of two
    return bytes;
  }());
}

TEST_CASE("moving_average: zero stays inside whatever is appended") {
  // A first batch that later ones cannot have followed, as a damaged state may have (rounding comes near to it).
  const moving_average good = seen({}, {{-1.0F}, {-2.0F}});
  std::vector<std::uint8_t> bytes = saved_bytes(good);
  const auto first_lo = static_cast<std::ptrdiff_t>(range_record::bytes(1) + 1 + 8 + 2 * 8);
  state_writer far;
  far.f64(-1e30);
  std::copy(far.bytes().begin(), far.bytes().end(), bytes.begin() + first_lo);
  state_reader r(bytes, "test");
  moving_average later(quantization_spec{});
  later.load(r);
  moving_average both = good;
  both.append(later);
  CHECK(range_of(both).first[0] == 0.0F);
  CHECK(range_of(both).second[0] == 0.0F);
  check_save_load(both, moving_average(quantization_spec{}));
}

TEST_CASE("moving_average: both products are rounded, nothing is fused") {
  random_stream random(18);
  int telling = 0;
  for (int i = 0; i < 200; ++i) {
    quantization_spec s;
    const double c = random.uniform() * 0.5 + 0.01;
    s.averaging_constant = c;
    moving_average wide(s);
    moving_average narrow(s, running_type::float32);
    double expected = 0;
    float expected_narrow = 0;
    for (int batch = 0; batch < 8; ++batch) {
      const auto x = static_cast<float>(random.uniform());
      wide.observe(view(std::vector<float>{x}));
      narrow.observe(view(std::vector<float>{x}));
      if (batch == 0) {
        expected = static_cast<double>(x);
        expected_narrow = x;
        continue;
      }
      volatile double fresh = c * static_cast<double>(x);  // stored, so no compiler can fuse it
      volatile double kept = (1 - c) * expected;
      const double sum = fresh + kept;
      telling += std::fma(1 - c, expected, fresh) != sum ||
                 std::fma(c, static_cast<double>(x), kept) != sum;
      expected = sum;
      volatile float fresh_narrow = static_cast<float>(c) * x;
      volatile float kept_narrow = static_cast<float>(1 - c) * expected_narrow;
      expected_narrow = fresh_narrow + kept_narrow;
    }
    const std::vector<std::uint8_t> bytes = saved_bytes(wide);
    const std::span<const std::uint8_t> all(bytes);
    state_reader r(all.subspan(range_record::bytes(1)), "test");
    r.u8();   // type
    r.u64();  // units
    r.f64();  // low end
    CHECK(r.f64() == expected);
    CHECK(range_of(narrow).second[0] == expected_narrow);
  }
  CHECK(telling > 100);  // or these numbers would prove nothing
}
