#include <lutra/core/error.hpp>

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>

namespace {

TEST_CASE("error: the message holds what, where, value and allowed range") {
  const lutra::error e(lutra::errc::invalid_argument, "bits out of range", "spec", "9", "1..8");
  CHECK(std::string(e.what()) == "lutra: bits out of range (spec): got 9, allowed: 1..8");
  CHECK(e.code() == lutra::errc::invalid_argument);
  CHECK(e.problem() == "bits out of range");
  CHECK(e.where() == "spec");
  CHECK(e.value() == "9");
  CHECK(e.allowed() == "1..8");
}

TEST_CASE("error: empty parts leave no trace in the message") {
  using lutra::errc;
  CHECK(std::string(lutra::error(errc::io_error, "disk full", "", "", "").what()) ==
        "lutra: disk full");
  CHECK(std::string(lutra::error(errc::io_error, "disk full", "", "5", "").what()) ==
        "lutra: disk full: got 5");
  CHECK(std::string(lutra::error(errc::io_error, "a", "b", "", "c").what()) ==
        "lutra: a (b), allowed: c");
}

TEST_CASE("error: raise throws a std::exception that is a lutra::error") {
  CHECK_THROWS_AS(lutra::raise(lutra::errc::corrupt_data, "bad magic", "file.st"), std::exception);
  try {
    lutra::raise(lutra::errc::corrupt_data, "bad magic", "file.st", "'ab'");
  } catch (const lutra::error& e) {
    CHECK(e.code() == lutra::errc::corrupt_data);
    CHECK(std::string(e.what()) == "lutra: bad magic (file.st): got 'ab'");
  }
}

// Where an error raised for `where` says it was.
std::string where_of(std::string where) {
  try {
    lutra::raise(lutra::errc::unsupported, "no", std::move(where), "1", "2");
  } catch (const lutra::error& e) {
    CHECK(e.code() == lutra::errc::unsupported);
    CHECK(std::string(e.what()) ==
          "lutra: no" + (e.where().empty() ? "" : " (" + e.where() + ")") + ": got 1, allowed: 2");
    return e.where();
  }
  return "not raised";
}

TEST_CASE("error: a place is named in front, the innermost one") {
  CHECK(where_of("gemv") == "gemv");
  {
    const std::string name = "node 'fc1' (linear)";
    const lutra::error_place here(name);
    CHECK(where_of("gemv") == "node 'fc1' (linear), gemv");
    CHECK(where_of("") == name);
    {
      const lutra::error_place inner("node 'fc2' (linear)");
      CHECK(where_of("gemv") == "node 'fc2' (linear), gemv");
      std::string elsewhere;
      std::thread([&] { elsewhere = where_of("gemv"); }).join();
      CHECK(elsewhere == "gemv");
    }
    CHECK(where_of("gemv") == "node 'fc1' (linear), gemv");
  }
  CHECK(where_of("gemv") == "gemv");
}

TEST_CASE("error: a place without a name leaves an error as it is") {
  const lutra::error_place nowhere("");
  CHECK(where_of("load") == "load");
  CHECK(where_of("") == "");
}

TEST_CASE("error: a place is left by an exception") {
  CHECK_THROWS([] {
    const lutra::error_place here("inside");
    throw std::runtime_error("out");
  }());
  CHECK(where_of("gemv") == "gemv");
}

TEST_CASE("error: every code has a name of its own") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(lutra::errc::cancelled); ++i) {
    names.insert(lutra::name_of(static_cast<lutra::errc>(i)));
  }
  CHECK(names.size() == static_cast<std::size_t>(lutra::errc::cancelled) + 1);
  CHECK_FALSE(names.contains("unknown"));
  CHECK(lutra::name_of(static_cast<lutra::errc>(200)) == "unknown");
}

TEST_CASE("error: text_of prints values so that they can be read back") {
  CHECK(lutra::text_of(0.1F) == "0.1");
  CHECK(lutra::text_of(1.0 / 3) == "0.3333333333333333");
  CHECK(lutra::text_of(-5) == "-5");
  CHECK(lutra::text_of(true) == "true");
  CHECK(lutra::text_of(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(lutra::text_of(std::numeric_limits<float>::quiet_NaN()) == "nan");
  CHECK(lutra::text_of(std::string_view("conv1")) == "'conv1'");
  const std::array<int, 3> xs = {1, -2, 3};
  CHECK(lutra::text_of(std::span<const int>(xs)) == "[1, -2, 3]");
  CHECK(lutra::text_of(std::span<const int>()) == "[]");
  CHECK(lutra::range_text(0, 8) == "0..8");
}

void first_handler(const lutra::error&) {}

TEST_CASE("error: set_error_handler returns the previous handler, null restores the default") {
  const lutra::error_handler original = lutra::set_error_handler(&first_handler);
  REQUIRE_UNARY(original != nullptr);
  CHECK_UNARY(lutra::set_error_handler(nullptr) == &first_handler);
  CHECK_UNARY(lutra::set_error_handler(original) == original);
}

}  // namespace
