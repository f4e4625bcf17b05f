#include <lutra/fake_quant/spec_identity.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "errors.hpp"

namespace {
using lutra::dtype;
using lutra::granularity;
using lutra::quantization_spec;
using lutra::target;

std::string text_of(const lutra::identity_difference& d) { return d.theirs + " | " + d.mine; }
std::string difference(const quantization_spec& theirs, const quantization_spec& mine,
                       target their_target = target::weight) {
  return text_of(lutra::difference_of(theirs, their_target, mine, target::weight));
}
std::vector<std::uint8_t> identity(const quantization_spec& s, target t = target::weight) {
  lutra::state_writer w;
  lutra::save_identity(w, s, t);
  return w.take();
}
}  // namespace

TEST_CASE("spec_identity: every field of a spec is named when it differs") {
  const quantization_spec plain{};
  CHECK(difference(plain, plain, target::lut) == "target lut | target weight");
  CHECK(difference({.qparam_calculator = "statistics"}, plain) ==
        "qparam_calculator statistics | qparam_calculator static");
  CHECK(difference({.dtype = dtype::int4}, plain) == "dtype int4 | dtype int8");
  CHECK(difference({.qscheme = lutra::qscheme::asymmetric}, plain) ==
        "qscheme asymmetric | qscheme symmetric");
  CHECK(difference({.qformulation = lutra::qformulation::minval}, plain) ==
        "qformulation minval | qformulation zp");
  CHECK(difference({.granularity = granularity::per_channel(1)}, plain) ==
        "granularity per_channel, axis 1 | granularity per_tensor");
  CHECK(difference({.averaging_constant = 0.5}, plain) ==
        "averaging_constant 0.5 | averaging_constant 0.01");
  CHECK(difference({.float_range = {-1.0F, {}}}, plain) ==
        "float_range.lo -1 | float_range.lo free");
  CHECK(difference({.float_range = {{}, 0.0F}}, plain) == "float_range.hi 0 | float_range.hi free");
  CHECK(difference({.dtype = dtype::float4_e2m1fn},
                   {.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float32}) ==
        "scale_dtype float8_e8m0fnu | scale_dtype float32");
  CHECK(difference({.scale_rules = {.e8m0 = lutra::e8m0_rule::up}}, plain) ==
        "scale_rules.e8m0 up | scale_rules.e8m0 floor");
  CHECK(difference({.scale_rules = {.no_clipping = true}}, plain) ==
        "scale_rules.no_clipping true | scale_rules.no_clipping false");
  CHECK(difference({.scale_rules = {.floor = lutra::scale_floor::relative}}, plain) ==
        "scale_rules.floor relative | scale_rules.floor absolute");
  CHECK(difference({.scale_rules = {.scale_type = dtype::bfloat16}}, plain) ==
        "scale_rules.scale_type bfloat16 | scale_rules.scale_type float32");
  CHECK(difference({.short_groups = lutra::short_groups::allow}, plain) ==
        "short_groups allow | short_groups forbid");
}

TEST_CASE("spec_identity: what is not saved is named too") {
  const quantization_spec plain{};
  CHECK(difference(lutra::off, plain) == "enabled false | enabled true");
  CHECK(difference({.averaging_constant = 0.010000000001}, plain) ==  // a float of it is saved
        "averaging_constant 0.010000000001 | averaging_constant 0.01");
  CHECK(difference({.qparam_calculator = "static"}, plain) ==
        "qparam_calculator static | qparam_calculator default");
  CHECK(difference({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float8_e8m0fnu},
                   {.dtype = dtype::float4_e2m1fn}) ==
        "scale_dtype float8_e8m0fnu | scale_dtype absent");
}

TEST_CASE("spec_identity: equal identities are read to their end, others to where they differ") {
  const auto a = identity({.float_range = {-1.0F, 2.0F}});
  auto b = a;
  lutra::state_reader left(a, "left"), right(b, "right");
  CHECK_FALSE(lutra::difference_of(left, right).has_value());
  CHECK(left.left() == 0);
  CHECK(right.left() == 0);

  b[0] = 77;  // no target
  lutra::state_reader again(a, "left"), odd(b, "right");
  const auto found = lutra::difference_of(odd, again);
  REQUIRE(found.has_value());
  CHECK(text_of(*found) == "target 77 | target weight");
}

TEST_CASE("spec_identity: a free end with a value and a short state are corrupt") {
  const auto mine = identity({});
  auto odd = mine;
  const std::size_t behind = 2 * (8 + 7) + 4;  // two texts 'float32', four bytes; from the end
  odd[odd.size() - behind - 1] = 1;            // last byte of the value of float_range.hi
  lutra::state_reader in(odd, "state"), own(mine, "mine");
  CHECK_ERROR(lutra::difference_of(in, own), corrupt_data, "free end", "state");
  for (std::size_t n = 0; n < mine.size(); ++n) {
    CAPTURE(n);
    const std::span<const std::uint8_t> first(mine.data(), n);
    lutra::state_reader cut(first, "state"), whole(mine, "mine");
    CHECK_ERROR(lutra::difference_of(cut, whole), corrupt_data, "state");
  }
}
