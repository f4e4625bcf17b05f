// CHECK_ERROR(expression, code, part...): the expression raises lutra::error with that code, and its
// message contains every part.
#pragma once

#include <lutra/core/error.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#define CHECK_ERROR(expression, expected_code, ...)                                      \
  do {                                                                                   \
    bool raised = false;                                                                 \
    try {                                                                                \
      static_cast<void>(expression);                                                     \
    } catch (const lutra::error& error) {                                                \
      raised = true;                                                                     \
      INFO(std::string(error.what()));                                                   \
      CHECK(lutra::name_of(error.code()) == lutra::name_of(lutra::errc::expected_code)); \
      for (const std::string_view part : {__VA_ARGS__}) {                                \
        CAPTURE(part);                                                                   \
        CHECK(std::string_view(error.what()).find(part) != std::string_view::npos);      \
      }                                                                                  \
    }                                                                                    \
    CHECK_MESSAGE(raised, "no error from " #expression);                                 \
  } while (false)
