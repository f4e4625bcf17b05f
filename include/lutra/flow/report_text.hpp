// lutra: report_text.hpp - a compression_report as tables for a terminal.
// SPDX-License-Identifier: Apache-2.0
//
// Lines are at most 100 columns wide: long names are shortened in the middle, sentences wrapped. Reasons are
// numbered and stand once, below the tables that refer to them.
#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <lutra/core/text_layout.hpp>
#include <lutra/flow/report.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Numbers for the reasons of a report.
class report_footnotes {
 public:
  std::string mark(const std::string& reason) {
    if (reason.empty()) return "";
    const auto [found, inserted] = number_.try_emplace(reason, reasons_.size() + 1);
    if (inserted) reasons_.push_back(reason);
    return numbered(found->second);
  }
  std::string text() const {
    std::string all;
    for (std::size_t i = 0; i < reasons_.size(); ++i) {
      all += wrapped(numbered(i + 1) + " ", reasons_[i], 4);
    }
    return all;
  }

 private:
  static std::string numbered(std::size_t i) {
    std::string made("[");
    return made.append(text_of(index_t(i))).append("]");
  }

  std::vector<std::string> reasons_;
  std::unordered_map<std::string, std::size_t> number_;
};

class report_writer {
 public:
  explicit report_writer(const compression_report& report) : report_(report) {}

  std::string run() {
    weights();
    activations();
    text_ += notes_.text();
    left_float();
    for (const std::string& note : report_.notes) text_ += wrapped("note: ", note, 6);
    return std::move(text_);
  }

 private:
  using rows = std::vector<std::vector<std::string>>;

  static std::string fixed(double x, const char* format) {
    if (std::isnan(x)) return "-";
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), format, x);
    return text.data();
  }
  void table(const rows& made) { text_ += (text_.empty() ? "" : "\n") + fitted_table(made); }

  void weights() {
    if (report_.weights.empty()) return;
    rows made{{"weight", "shape", "as", "groups", "bytes", "after", "bits", "SQNR dB", "why"}};
    std::int64_t before = 0;
    std::int64_t after = 0;
    for (const weight_record& w : report_.weights) {
      before += w.bytes_before;
      after += w.bytes_after;
      const bool done = w.status == tensor_status::compressed;
      const bool read = w.bytes_before > 0 || done;  // palettes and integers are not looked into
      made.push_back({w.name, read ? text_of(w.extents) : "", done ? w.form : "as it was",
                      done ? text_of(w.groups) : "", read ? text_of(w.bytes_before) : "",
                      read ? text_of(w.bytes_after) : "",
                      done ? fixed(w.bits_per_weight(), "%.2f") : "",
                      done ? fixed(w.sqnr_db(), "%.2f") : "", notes_.mark(w.reason)});
    }
    made.push_back({"all tensors", "", "", "", text_of(before), text_of(after), "", "", ""});
    table(made);
  }
  void activations() {
    if (report_.activations.empty()) return;
    rows made{
        {"activation", "shape", "as", "scale", "zero point", "bytes", "after", "SQNR dB", "why"}};
    for (const activation_record& a : report_.activations) {
      const bool one = a.scale.size() == 1;
      const bool seen = a.extents.size() > 0;
      const auto why = [&](std::size_t i) {
        return i < a.reasons.size() ? notes_.mark(a.reasons[i].text) : std::string();
      };
      made.push_back({a.name, seen ? text_of(a.extents) : "", std::string(name_of(a.dtype)),
                      one ? fixed(static_cast<double>(a.scale[0]), "%.6g")
                          : text_of(static_cast<index_t>(a.scale.size())) + " scales",
                      a.zero_point.size() == 1 ? text_of(a.zero_point[0]) : "",
                      seen ? text_of(a.bytes_before()) : "", seen ? text_of(a.bytes_after()) : "",
                      fixed(a.sqnr_db(), "%.2f"), why(0)});
      for (std::size_t i = 1; i < a.values.size(); ++i) {
        made.push_back({"  and " + a.values[i], "", "", "", "", "", "", "", why(i)});
      }
    }
    table(made);
  }
  // Values with one reason stand together.
  void left_float() {
    if (report_.left_float.empty()) return;
    std::vector<std::pair<std::string, std::string>> groups;  // reason, names
    std::unordered_map<std::string, std::size_t> group_of;
    for (const float_record& f : report_.left_float) {
      const auto [found, inserted] = group_of.try_emplace(f.reason, groups.size());
      if (inserted) groups.emplace_back(f.reason, "");
      std::string& names = groups[found->second].second;
      names += (names.empty() ? "" : ", ") + shortened(f.name, 60);
    }
    text_ += "stay float:\n";
    for (const auto& [reason, names] : groups) text_ += wrapped("  ", names + ": " + reason, 4);
  }

  const compression_report& report_;
  report_footnotes notes_;
  std::string text_;
};

// Weights (what each is now, bytes, SQNR and why), activations likewise, what stays float, and the notes.
inline std::string text_of(const compression_report& report) { return report_writer(report).run(); }

}  // namespace lutra::inline LUTRA_ABI
