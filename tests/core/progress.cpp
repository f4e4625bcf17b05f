#include <lutra/core/progress.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace {

TEST_CASE("progress: the callback sees stage, done and total") {
  std::string seen;
  const lutra::progress_callback callback = [&](std::string_view stage, lutra::index_t done,
                                                lutra::index_t total) {
    seen += std::string(stage) + ' ' + lutra::text_of(done) + '/' + lutra::text_of(total) + ';';
    return true;
  };
  lutra::report_progress(callback, "palettize", 0, 2);
  lutra::report_progress(callback, "palettize", 2, 2);
  CHECK(seen == "palettize 0/2;palettize 2/2;");
}

TEST_CASE("progress: false cancels with an error that says where") {
  const lutra::progress_callback stop = [](auto...) { return false; };
  try {
    lutra::report_progress(stop, "calibrate", 3, 17);
    FAIL("did not cancel");
  } catch (const lutra::error& e) {
    CHECK(e.code() == lutra::errc::cancelled);
    CHECK(std::string(e.what()) ==
          "lutra: cancelled by the progress callback (calibrate): got 3 of 17");
  }
}

TEST_CASE("progress: empty callbacks and sinks are fine") {
  lutra::report_progress({}, "palettize", 1, 2);
  lutra::log({}, lutra::log_level::warning, "nobody listens");
}

TEST_CASE("progress: the log sink receives level and text") {
  std::vector<std::pair<lutra::log_level, std::string>> lines;
  const lutra::log_sink sink = [&](lutra::log_level level, std::string_view message) {
    lines.emplace_back(level, message);
  };
  lutra::log(sink, lutra::log_level::info, "a");
  lutra::log(sink, lutra::log_level::warning, "b");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == std::pair{lutra::log_level::info, std::string("a")});
  CHECK(lines[1] == std::pair{lutra::log_level::warning, std::string("b")});
}

}  // namespace
