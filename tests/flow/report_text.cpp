#include <doctest/doctest.h>
#include <algorithm>
#include <lutra/flow/report_text.hpp>

#include "text_lines.hpp"

using namespace lutra;

TEST_CASE("report_text: what was done, what was not and why, and the notes") {
  compression_report r;
  weight_record w;
  w.name = "fc.weight";
  w.status = tensor_status::compressed;
  w.why = reason::own_config;
  w.reason = "op_state_spec 'weight' of global";
  w.form = "4-bit palette";
  w.extents = shape{10, 20};
  w.n_bits = 4;
  w.groups = 5;
  w.signal = 100;
  w.error = 1;
  w.bytes_before = 800;
  w.bytes_after = 120;
  r.weights.push_back(w);
  w.name = "fc2.weight";  // the same reason, told once
  w.error = 0;
  r.weights.push_back(w);
  w = {};
  w.name = "fc.bias";
  w.why = reason::not_a_weight;
  w.reason = "not chosen";
  w.extents = shape{10};
  w.bytes_before = w.bytes_after = 40;
  r.weights.push_back(w);
  w = {};
  w.name = "lut";
  w.why = reason::packed_state;
  w.reason = "already compressed";
  r.weights.push_back(w);
  activation_record a;
  a.name = "relu";
  a.values = {"relu", "pool"};
  a.reasons = {{reason::own_config, "quantized by its config"},
               {reason::shared_range, "shares the range of relu"}};
  a.scale = {0.03F};
  a.zero_point = {0};
  a.extents = shape{4, 5};
  a.signal = 1000;
  a.error = 1;
  a.measured = 20;
  r.activations.push_back(a);
  a = {};
  a.name = "x";
  a.values = {"x"};
  a.reasons = {{reason::own_config, "quantized by its config"}};
  a.dtype = dtype::uint8;
  a.scale = {0.1F, 0.2F};
  a.zero_point = {0, 0};
  r.activations.push_back(a);
  r.left_float.push_back({"linear", reason::inside_pattern, "inside a pattern"});
  r.left_float.push_back({"softmax", reason::unregistered_op, "no pattern has it"});
  r.left_float.push_back({"linear_1", reason::inside_pattern, "inside a pattern"});
  r.notes.push_back("entry 'a' matches no module");
  const std::string text = text_of(r);
  CHECK(text ==
        "weight          shape             as  groups  bytes  after  bits  SQNR dB  why\n"
        "fc.weight    [10, 20]  4-bit palette       5    800    120  4.80    20.00  [1]\n"
        "fc2.weight   [10, 20]  4-bit palette       5    800    120  4.80      inf  [1]\n"
        "fc.bias          [10]      as it was             40     40                 [2]\n"
        "lut                        as it was                                       [3]\n"
        "all tensors                                    1640    280\n"
        "\n"
        "activation   shape     as     scale  zero point  bytes  after  SQNR dB  why\n"
        "relu        [4, 5]   int8      0.03           0     80     20    30.00  [4]\n"
        "  and pool                                                              [5]\n"
        "x                   uint8  2 scales                                  -  [4]\n"
        "[1] op_state_spec 'weight' of global\n"
        "[2] not chosen\n"
        "[3] already compressed\n"
        "[4] quantized by its config\n"
        "[5] shares the range of relu\n"
        "stay float:\n"
        "  linear, linear_1: inside a pattern\n"
        "  softmax: no pattern has it\n"
        "note: entry 'a' matches no module\n");
  CHECK(text_of(compression_report{}).empty());
}

TEST_CASE("report_text: 100 columns, whatever the names") {
  compression_report r;
  const std::string name(100000, 'n');
  weight_record w;
  w.name = name + ".weight";
  w.status = tensor_status::compressed;
  w.form = "int4 per_grouped_channel(size 128, axis 0)";
  w.extents = shape{123456, 123456, 16, 16};
  w.bytes_before = w.bytes_after = 123456789012345;
  w.reason = "op_state_spec '" + name + "'";
  r.weights.push_back(w);
  activation_record a;
  a.name = name;
  a.values = {name, name};
  a.reasons = {{reason::own_config, name}, {reason::own_config, name + " again"}};
  a.scale = {1e-30F};
  a.zero_point = {-128};
  a.extents = w.extents;
  r.activations.push_back(a);
  for (int i = 0; i < 50; ++i) {
    r.left_float.push_back({"value_" + std::to_string(i), reason::no_data, "no data was observed"});
  }
  r.left_float.push_back({name, reason::no_data, name});
  r.notes.push_back("config entry name '" + name + "' matches no module");
  for (const std::string& line : lines_of(text_of(r))) {
    CHECK(line.size() <= 100);
    CHECK(line.find_last_not_of(' ') + 1 == line.size());
  }
}
