// lutra: dispatch.hpp - one binary for every CPU: code built once per level, chosen at run time.
// SPDX-License-Identifier: Apache-2.0
//
// lutra_add_dispatched_library (cmake/LutraDispatch.cmake) compiles a file once per level, with simd::native being
// that level, and writes a header that names the levels. The file defines a function of its level:
//
//   kernels.hpp   struct kernels { void (*multiply)(...); };
//                 template <class Level> const kernels& kernels_of();
//   kernels.cpp   template <> const kernels& kernels_of<lutra::simd::native>() { static const ... }
//   main.cpp      #include <NAME_levels.hpp>
//                 const kernels& k = lutra::simd::dispatch(NAME_levels{}, [](auto level) -> const kernels& {
//                   return kernels_of<decltype(level)>();
//                 });
//
// Inline functions and templates of such a file, lutra's and those of every other library, are private to its level,
// so none of them can end up where another level is called; types are shared: pass lutra's objects and catch its
// errors as ever. What is private too: variables, such as the settings of simd/cache.hpp and, without exceptions, the
// error handler. Other functions with external linkage must be specialised by level as above: of equals the linker
// takes any. With a standard library that compares types by address (libc++), errors do not cross levels.
#pragma once

#include <cstdlib>
#include <lutra/core/error.hpp>
#include <lutra/simd/cpu.hpp>
#include <string>
#include <type_traits>

namespace lutra::inline LUTRA_ABI::simd {

// Levels that were compiled, the better ones later.
template <class... Levels> struct level_list {};

// This CPU, with leave to use tiles only if a level of the list needs it.
template <class... Levels> cpu_words cpu_for() {
  const cpu_words c = read_cpu();
  return (... || std::is_same_v<Levels, amx_int8>) ? with_permissions(c) : c;
}

// Calls f(level) for every level of the list that runs on this CPU, in the list's order.
template <class... Levels, class F>
void for_each_runnable(level_list<Levels...>, F&& f, const cpu_words& cpu = cpu_for<Levels...>()) {
  const auto call = [&](auto level) {
    if (runs_on(cpu, level)) f(level);
  };
  (call(Levels{}), ...);
}

// The name of the level to take: `wanted`, or else the environment variable LUTRA_LEVEL, or else the last of the list
// that runs here. Raises unsupported if the one asked for was not compiled or does not run here, or if none does.
template <class... Levels>
std::string_view choose_level(level_list<Levels...> levels, std::string_view wanted = {},
                              const cpu_words& cpu = cpu_for<Levels...>()) {
  const char* where = "dispatch";
  if (const char* variable = std::getenv("LUTRA_LEVEL"); wanted.empty() && variable != nullptr) {
    wanted = variable;
    where = "LUTRA_LEVEL";
  }
  std::string_view chosen;
  std::string allowed;
  const auto offer = [&](std::string_view level) {
    if (wanted.empty() || level == wanted) chosen = level;
    allowed += (allowed.empty() ? "" : " ") + std::string(level);
  };
  for_each_runnable(
      levels, [&](auto level) { offer(level.name); }, cpu);
  if (chosen.empty()) {
    const bool compiled = (... || (Levels::name == wanted));
    raise(errc::unsupported,
          compiled || wanted.empty() ? "this CPU cannot run it" : "no such level compiled", where,
          wanted.empty() ? "every level compiled" : std::string(wanted), allowed);
  }
  return chosen;
}

// f(level) for the level of that name, which must be one of the list.
template <class First, class... Rest, class F>
decltype(auto) call_level(level_list<First, Rest...>, std::string_view name, F&& f) {
  if constexpr (sizeof...(Rest) > 0) {
    if (name != First::name) return call_level(level_list<Rest...>{}, name, f);
  }
  return f(First{});
}

// f(level) for the level that choose_level takes. f returns the same type for every level.
template <class... Levels, class F>
decltype(auto) dispatch(level_list<Levels...> levels, F&& f, std::string_view wanted = {}) {
  return call_level(levels, choose_level(levels, wanted), f);
}

}  // namespace lutra::inline LUTRA_ABI::simd
