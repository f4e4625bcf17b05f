// lutra: error.hpp - the one error type, and how an error leaves the library.
// SPDX-License-Identifier: Apache-2.0
//
// Every check at an API boundary ends here: what is wrong, where, the value seen and what would have been allowed.
// Whoever calls many such checks says where it is by an error_place. With exceptions the error is thrown; without, it
// goes to the error handler, which must not return (the default prints the message and aborts).
//
// Thread safety: raise() and set_error_handler() may be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <charconv>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <lutra/core/types.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace lutra::inline LUTRA_ABI {

enum class errc {
  invalid_argument,  // an option or argument outside its range
  shape_mismatch,    // shapes that disagree with each other or with an operation
  non_finite,        // NaN or infinity where the entry point refuses it
  size_overflow,     // a product of extents or a byte count that does not fit
  unsupported,       // valid, but not something this version does
  corrupt_data,      // bytes of a file or stream that cannot be what they claim
  io_error,          // the operating system refused to read or write
  invalid_state,     // a call out of order (finalize before prepare, ...)
  invalid_graph,     // cyclic, dangling or contradictory graph
  incompatible,      // two objects that cannot be combined (merge, block size, ...)
  cancelled          // a progress callback asked to stop
};

constexpr std::string_view name_of(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument:
      return "invalid_argument";
    case errc::shape_mismatch:
      return "shape_mismatch";
    case errc::non_finite:
      return "non_finite";
    case errc::size_overflow:
      return "size_overflow";
    case errc::unsupported:
      return "unsupported";
    case errc::corrupt_data:
      return "corrupt_data";
    case errc::io_error:
      return "io_error";
    case errc::invalid_state:
      return "invalid_state";
    case errc::invalid_graph:
      return "invalid_graph";
    case errc::incompatible:
      return "incompatible";
    case errc::cancelled:
      return "cancelled";
  }
  return "unknown";
}

// Message: "<what> (<where>): got <value>, allowed: <allowed>"; empty parts are left out.
class error : public std::exception {
 public:
  error(errc code, std::string what, std::string where, std::string value, std::string allowed)
      : code_(code),
        problem_(std::move(what)),
        where_(std::move(where)),
        value_(std::move(value)),
        allowed_(std::move(allowed)),
        message_("lutra: " + problem_) {
    if (!where_.empty()) message_ += " (" + where_ + ")";
    if (!value_.empty()) message_ += ": got " + value_;
    if (!allowed_.empty()) message_ += ", allowed: " + allowed_;
  }
  const char* what() const noexcept override { return message_.c_str(); }
  errc code() const noexcept { return code_; }
  const std::string& problem() const noexcept { return problem_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& value() const noexcept { return value_; }
  const std::string& allowed() const noexcept { return allowed_; }

 private:
  errc code_;
  std::string problem_, where_, value_, allowed_, message_;
};

class error_place;
namespace error_state {
constinit inline thread_local const error_place* innermost = nullptr;
}

// While it lives, errors raised on its thread say so: "<name>, <where>". The innermost place counts, and it alone:
// whoever calls behind a place leaves the name to it. The name must outlive it. With and without exceptions; costs two
// moves of a pointer.
class error_place {
 public:
  explicit error_place(std::string_view name) noexcept
      : name_(name), outer_(std::exchange(error_state::innermost, this)) {}
  template <std::same_as<std::string> S>
  explicit error_place(S&&) = delete;  // would not outlive it
  ~error_place() { error_state::innermost = outer_; }
  error_place(const error_place&) = delete;
  error_place& operator=(const error_place&) = delete;

  error named(error e) const {
    if (name_.empty()) return e;
    return {e.code(), e.problem(),
            std::string(name_).append(e.where().empty() ? "" : ", ").append(e.where()), e.value(),
            e.allowed()};
  }

 private:
  std::string_view name_;
  const error_place* outer_;
};

// Called instead of a throw when the library is compiled without exceptions. Must not return.
using error_handler = void (*)(const error&);

namespace error_state {
[[noreturn]] inline void print_and_abort(const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  std::abort();
}
inline std::atomic<error_handler> handler{&print_and_abort};
}  // namespace error_state

// Replaces the handler used without exceptions and returns the previous one.
inline error_handler set_error_handler(error_handler h) noexcept {
  return error_state::handler.exchange(h != nullptr ? h : &error_state::print_and_abort);
}

// Throws `e`, or without exceptions hands it to the handler and aborts should that return.
[[noreturn]] inline void raise(error e) {
  if (error_state::innermost != nullptr) e = error_state::innermost->named(std::move(e));
#if LUTRA_HAS_EXCEPTIONS
  throw e;
#else
  error_state::handler.load()(e);
  std::abort();
#endif
}

[[noreturn]] inline void raise(errc code, std::string what, std::string where = {},
                               std::string value = {}, std::string allowed = {}) {
  raise(error(code, std::move(what), std::move(where), std::move(value), std::move(allowed)));
}

// Text of a value for a message: shortest round-trip form, independent of the locale.
template <class T>
requires std::integral<T> || std::floating_point<T> std::string text_of(T x) {
  if constexpr (std::same_as<T, bool>) {
    return x ? "true" : "false";
  } else {
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), x).ptr;
    return std::string(buffer.data(), end);
  }
}
inline std::string text_of(std::string_view s) {
  std::string quoted = "'";  // "'" + std::string makes g++ 12 warn of an overlap at -O3
  quoted += s;
  return quoted += '\'';
}
template <class T> std::string text_of(std::span<T> xs) {
  std::string s = "[";
  for (std::size_t i = 0; i < xs.size(); ++i) s += (i ? ", " : "") + text_of(xs[i]);
  return s + "]";
}

// "lo..hi", the usual way to state an allowed range.
template <class T> std::string range_text(T lo, T hi) { return text_of(lo) + ".." + text_of(hi); }

}  // namespace lutra::inline LUTRA_ABI
