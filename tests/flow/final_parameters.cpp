#include <limits>
#include <lutra/flow/final_parameters.hpp>
#include <lutra/graph/plan.hpp>

#include "nets.hpp"

using namespace lutra;

TEST_CASE("final_parameters: parameters where there are any, else the reason") {
  const small_net net;
  quantization_spec asymmetric = int8_symmetric;
  asymmetric.qscheme = qscheme::asymmetric;
  const quantization_plan p = plan(static_cast<const toy::graph&>(net),
                                   {.global_config = {.op_state_spec = {{"weight", asymmetric}},
                                                      .op_input_spec = {{"*", asymmetric}},
                                                      .op_output_spec = off}});
  std::vector<fake_quantizer> fakes;
  for (index_t g = 0; g < std::ssize(p.groups); ++g) {
    const group_settings& of = p.settings_of(g);
    fakes.emplace_back(of.spec, of.weight ? target::weight : target::activation);
  }
  REQUIRE(fakes.size() == 4);
  const tensor<float> good = batch(0);
  tensor<float> wide = good;
  wide[0] = 3e38F;
  wide[1] = -3e38F;
  fakes[0].observe(lutra::view(good));
  fakes[1].observe(lutra::view(wide));
  quantization_spec blocks = int8_symmetric;
  blocks.granularity = granularity::per_block(4, 1);
  fakes[2] = fake_quantizer(blocks, target::activation);
  fakes[2].observe(lutra::view(good));  // five columns
  const final_parameters found = final_parameters::from(fakes, p);
  REQUIRE(found.of.size() == 4);
  CHECK(found.has(0));
  CHECK(*found.of[0] == fakes[0].params());
  for (const index_t i : {1, 2, 3}) CHECK_FALSE(found.has(i));
  CHECK(found.why_none[1].starts_with("range is too wide"));
  CHECK(found.why_none[2] == fakes[2].disabled_reason());
  CHECK(found.why_none[3] == "no data was observed");
  CHECK(found.notes ==
        std::vector<std::string>{p.group_name(1) + ": stays float, " + found.why_none[1]});
}

TEST_CASE("final_parameters: data without a finite element leave a tensor as it is, with a note") {
  const small_net net;
  const quantization_plan p =
      plan(static_cast<const toy::graph&>(net),
           {.global_config = {.op_state_spec = {}, .op_input_spec = {{"*", int8_symmetric}}}});
  std::vector<fake_quantizer> fakes;
  for (index_t g = 0; g < std::ssize(p.groups); ++g) {
    fakes.emplace_back(p.settings_of(g).spec, target::activation);
    tensor<float> x = batch(0);
    if (g == 0) std::ranges::fill(x.elements(), std::numeric_limits<float>::quiet_NaN());
    fakes.back().observe(lutra::view(x));
  }
  const final_parameters found = final_parameters::from(fakes, p);
  CHECK_FALSE(found.has(0));
  CHECK(found.cause[0] == reason::bad_range);
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0].starts_with(p.group_name(0) + ": stays float, no finite element"));
  for (index_t g = 1; g < std::ssize(p.groups); ++g) CHECK(found.has(g));
}
