#include <lutra/observe/observer_keys.hpp>

#include "../errors.hpp"

#include <lutra/observe/any_observer.hpp>

using namespace lutra;

TEST_CASE("observer_keys: what make_observer knows, and default") {
  check_observer_key("default", "here");
  for (const char* key :
       {"static", "moving_average", "moving_average_count_aware", "global_minmax", "statistics",
        "histogram_percentile", "histogram_mse", "histogram_entropy", "torch_histogram"}) {
    CAPTURE(key);
    check_observer_key(key, "here");
    CHECK(make_observer(key, {}).units() == 0);
  }
  CHECK_FALSE(observer_keys::instance().contains("default"));
  CHECK_ERROR(make_observer("default", {}), invalid_argument, "'default'");
}

TEST_CASE("observer_keys: a misspelled one is an error with a suggestion") {
  CHECK_ERROR(check_observer_key("histogram_mes", "here"), invalid_argument, "here",
              "no observer under this key", "'histogram_mes'", "default, global_minmax",
              "did you mean 'histogram_mse'?");
  CHECK_ERROR(check_observer_key("defualt", "here"), invalid_argument, "did you mean 'default'?");
  CHECK_ERROR(check_observer_key("", "here"), invalid_argument, "''");
}

TEST_CASE("observer_keys: register_observer adds to them") {
  CHECK_ERROR(check_observer_key("of this test", "here"), invalid_argument, "'of this test'");
  register_observer("of this test",
                    [](const quantization_spec& s) { return any_observer(static_range(s)); });
  check_observer_key("of this test", "here");
  CHECK_ERROR(check_observer_key("of this tset", "here"), invalid_argument,
              "did you mean 'of this test'?");
}
