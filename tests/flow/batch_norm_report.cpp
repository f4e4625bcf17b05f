#include <doctest/doctest.h>
#include <lutra/flow/batch_norm_report.hpp>

using namespace lutra;

TEST_CASE("batch_norm_report: every outcome has a name of its own, folded ones are counted") {
  batch_norm_report report;
  CHECK(report.folded() == 0);
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(fold_outcome::quantized_between); ++i) {
    const auto outcome = static_cast<fold_outcome>(i);
    CHECK(name_of(outcome) != "unknown");
    for (const std::string_view other : names) CHECK(other != name_of(outcome));
    names.push_back(name_of(outcome));
    report.records.push_back({"bn", "conv", "weight", outcome, ""});
    report.records.push_back({"bn", "conv", "weight", fold_outcome::folded, ""});
  }
  CHECK(report.folded() == static_cast<index_t>(names.size()) + 1);
  CHECK(name_of(static_cast<fold_outcome>(names.size())) == "unknown");
}
