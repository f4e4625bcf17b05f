#include <doctest/doctest.h>
#include <lutra/flow/report_text.hpp>

using namespace lutra;

TEST_CASE("report_text: columns are aligned") {
  CHECK(aligned_table({{"name", "n"}, {"a", "12"}, {"longer", "3"}}) ==
        "name     n\n"
        "a       12\n"
        "longer   3\n");
  CHECK(aligned_table({}).empty());
}

TEST_CASE("report_text: what was done, what was not and why, and the notes") {
  compression_report r;
  weight_record w;
  w.name = "fc.weight";
  w.status = tensor_status::compressed;
  w.extents = shape{10, 20};
  w.n_bits = 4;
  w.groups = 5;
  w.signal = 100;
  w.error = 1;
  w.bytes_before = 800;
  w.bytes_after = 120;
  r.weights.push_back(w);
  w = {};
  w.name = "fc.bias";
  w.reason = "not chosen";
  w.bytes_before = w.bytes_after = 40;
  r.weights.push_back(w);
  r.activations.push_back({"relu", {"relu", "pool"}, {0.03F}, {0}, 64});
  r.activations.push_back({"x", {"x"}, {0.1F, 0.2F}, {0, 0}, 64});
  r.left_float.push_back({"linear", "inside a pattern"});
  r.notes.push_back("entry 'a' matches no module");
  const std::string text = text_of(r);
  CHECK(text ==
        "weight          shape  bits  tables  bytes before  after  bits/weight  SQNR dB\n"
        "fc.weight    [10, 20]     4       5           800    120         4.80    20.00\n"
        "all tensors                                   840    160                      \n"
        "not compressed:\n"
        "  fc.bias: left_dense, not chosen\n"
        "\n"
        "activation  values     scale  zero point\n"
        "relu             2      0.03           0\n"
        "x                1  2 scales            \n"
        "stay float:\n"
        "  linear: inside a pattern\n"
        "note: entry 'a' matches no module\n");
  CHECK(text_of(compression_report{}).empty());
}
