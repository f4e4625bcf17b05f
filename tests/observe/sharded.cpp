#include <lutra/observe/sharded.hpp>

#include <doctest/doctest.h>
#include <lutra/observe/any_observer.hpp>

#include "../errors.hpp"
#include "backward_executor.hpp"
#include "observe/check_merge.hpp"

namespace {

using namespace lutra;

std::vector<float> data(const shape& extents) {
  random_stream r(71);
  std::vector<float> x(static_cast<std::size_t>(extents.size()));
  for (float& v : x) v = static_cast<float>(r.normal());
  x[x.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  return x;
}

// Two tensors, by shards in two orders and, where that is promised, serially: the same bytes.
template <class O>
void check_same(const O& fresh, const granularity& g, const shape& extents, bool as_serial = true) {
  CAPTURE(text_of(g));
  CAPTURE(text_of(extents));
  const std::vector<float> first = data(extents);
  std::vector<float> second = first;
  for (float& v : second) v *= 0.5F;
  O serial = fresh;
  O sharded = fresh;
  O forwards = fresh;
  for (const std::vector<float>* x : {&first, &std::as_const(second)}) {
    serial.observe(tensor_view<const float>(x->data(), extents));
    observe(test::backward_executor{}, sharded, tensor_view<const float>(x->data(), extents), g);
    observe(serial_executor{}, forwards, tensor_view<const float>(x->data(), extents), g);
  }
  CHECK(bytes_of(forwards) == bytes_of(sharded));
  if (as_serial) CHECK(bytes_of(serial) == bytes_of(sharded));
  std::vector<float> a(static_cast<std::size_t>(serial.units())), b(a), c(a), d(a);
  serial.range(a, b);
  sharded.range(c, d);
  CHECK(a == c);
  CHECK(b == d);
  CHECK(serial.samples() == sharded.samples());
  CHECK(serial.nonfinite() == sharded.nonfinite());
}

}  // namespace

TEST_CASE(
    "sharded: every executor gives the same bytes, of ranges and histograms those of one pass") {
  for (const granularity& g : {granularity::per_tensor(), granularity::per_channel(0),
                               granularity::per_channel(1), granularity::per_block(20, 1)}) {
    const quantization_spec spec{.granularity = g};
    const shape extents{500, 600};
    check_same(static_range(spec), g, extents);
    check_same(global_min_max(spec), g, extents);
    check_same(statistics(spec), g, extents, false);
    if (g == granularity::per_tensor()) check_same(histogram_mse(spec), g, extents);
    check_same(make_observer("static", spec), g, extents);
    check_same(make_observer("statistics", spec), g, extents, false);
  }
  check_same(global_min_max({}), granularity::per_tensor(), {1, 300'001});
  check_same(static_range({}), granularity::per_tensor(), {5});
}

TEST_CASE("sharded: strided views, nothing, and what cannot be merged") {
  const std::vector<float> x = data({400, 400});
  const index_t strides[] = {1, 400};
  const tensor_view<const float> across(x.data(), {400, 400}, strides);
  global_min_max serial({});
  global_min_max sharded({});
  serial.observe(across);
  observe(serial_executor{}, sharded, across, granularity::per_tensor());
  CHECK(bytes_of(serial) == bytes_of(sharded));
  observe(serial_executor{}, sharded, tensor_view<const float>(x.data(), {0, 3}),
          granularity::per_tensor());
  CHECK(bytes_of(serial) == bytes_of(sharded));
  CHECK(shardable_axis(granularity::per_channel(0), {4, 5}) == 1);
  CHECK(shardable_axis(granularity::per_channel(0), {4, 1}) == -1);
  CHECK(shardable_axis(granularity::per_tensor(), {}) == -1);
  any_observer average = make_observer("moving_average", {});
  CHECK_ERROR(observe(serial_executor{}, average, across, granularity::per_tensor()), unsupported,
              "cannot be combined");
  CHECK(average.samples() == 0);
  global_min_max per_row({.granularity = granularity::per_channel(0)});  // a call for another spec
  CHECK_ERROR(observe(serial_executor{}, per_row, across, granularity::per_tensor()),
              invalid_argument, "granularity", "per_tensor", "1 units");
  CHECK_ERROR(observe(serial_executor{}, sharded, across, granularity::per_channel(1)),
              invalid_argument, "granularity", "400 units");
  CHECK(per_row.samples() == 0);
}
