// CHECK_ERROR(expression, code, part...): the expression raises lutra::error with that code, and its
// message contains every part.
#pragma once

#include <lutra/core/error.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

namespace test {

// What is the same for all uses of CHECK_ERROR, of which there are many; `text` is the expression of this one.
struct error_check {
  const char* file;
  int line;
  const char* text;
  lutra::errc code;

  void operator()(void (*call)(void*), void* data,
                  std::initializer_list<std::string_view> parts) const {
    // Strings: doctest logs the address of a const char*.
    INFO(std::string(file), ":", line, ": ", std::string(text));
    bool raised = false;
    try {
      call(data);
    } catch (const lutra::error& error) {
      raised = true;
      INFO(std::string(error.what()));
      CHECK(lutra::name_of(error.code()) == lutra::name_of(code));
      for (const std::string_view part : parts) {
        CAPTURE(part);
        CHECK(std::string_view(error.what()).find(part) != std::string_view::npos);
      }
    }
    CHECK_MESSAGE(raised, "no error");
  }
};

template <class F>
void check_error(const error_check& check, F call, std::initializer_list<std::string_view> parts) {
  check([](void* f) { (*static_cast<F*>(f))(); }, &call, parts);
}

}  // namespace test

#define CHECK_ERROR(expression, expected_code, ...)                                \
  test::check_error({__FILE__, __LINE__, #expression, lutra::errc::expected_code}, \
                    [&] { static_cast<void>(expression); }, {__VA_ARGS__})
