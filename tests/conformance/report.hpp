// lutra: report.hpp - counts conformance cases and prints what fails, one line each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iostream>
#include <nlohmann/json_fwd.hpp>
#include <string>

// A case outside the library's scope counts as failed: it is a gap, and the line says which.
class conformance_report {
 public:
  explicit conformance_report(std::ostream& out = std::cout) : out_(out) {}

  void pass(const std::string&) { ++passed_; }
  void fail(const std::string& id, const std::string& expected, const std::string& got) {
    ++failed_;
    out_ << id << ": expected " << expected << ", got " << got << '\n';
  }
  void out_of_scope(const std::string& id, const std::string& why) {
    ++failed_;
    out_ << id << ": out of scope: " << why << '\n';
  }
  // A case that passes through a compatibility option, because the default deliberately differs.
  void pass_in_compat_mode(const std::string& id, const std::string& why) {
    ++passed_;
    out_ << id << ": passes in compatibility mode: " << why << '\n';
  }
  int passed() const noexcept { return passed_; }
  int failed() const noexcept { return failed_; }

 private:
  std::ostream& out_;
  int passed_ = 0;
  int failed_ = 0;
};

// The runners, one per file of cases; main.cpp calls them.
void run_quantization(const nlohmann::json& file, conformance_report& report);
void run_palettization(const nlohmann::json& file, conformance_report& report);
void run_optimal_1d(const nlohmann::json& file, conformance_report& report);
void run_graph(const nlohmann::json& file, conformance_report& report);
