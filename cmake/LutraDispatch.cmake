# lutra_add_dispatched_library(TARGET SOURCES FILE... [LEVELS LEVEL...] [LIBRARIES TARGET...])
#
# A static library of code that is compiled once per level, one of which is chosen at run time: one binary for every
# CPU. include/lutra/simd/dispatch.hpp says what to write in the files. LEVELS (default: all) may name levels of other
# architectures, which are left out. Whoever links TARGET finds <TARGET_levels.hpp>, which names the levels as
# `TARGET_levels`; LIBRARIES are linked to both the code and its users.
#
# What the files define of inline functions and templates stays inside their level (LutraIsolate.cmake).
function(lutra_add_dispatched_library target)
  include("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/LutraLevels.cmake")
  cmake_parse_arguments(ARG "" "" "SOURCES;LEVELS;LIBRARIES" ${ARGN})
  if(NOT ARG_SOURCES OR ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "lutra_add_dispatched_library(${target}): usage: TARGET SOURCES FILE... [LEVELS LEVEL...] [LIBRARIES TARGET...]")
  endif()
  if(NOT DEFINED ARG_LEVELS)
    set(ARG_LEVELS ${LUTRA_LEVELS})
    list(REMOVE_ITEM ARG_LEVELS native)
  endif()
  foreach(level ${ARG_LEVELS})
    if(NOT level IN_LIST LUTRA_LEVELS OR level STREQUAL "native")
      message(FATAL_ERROR "lutra_add_dispatched_library(${target}): level '${level}', allowed: ${LUTRA_LEVELS} (but native)")
    endif()
  endforeach()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target}_levels)
  set(tags)
  set(objects)
  lutra_levels_here(here)
  foreach(level ${here})  # in this order: the better ones later
    if(NOT level IN_LIST ARG_LEVELS)
      continue()
    endif()
    set(code ${target}_${level})
    add_library(${code} OBJECT ${ARG_SOURCES})
    target_link_libraries(${code} PRIVATE lutra::lutra ${ARG_LIBRARIES})
    target_compile_options(${code} PRIVATE ${LUTRA_FLAGS_${level}} -fno-lto  # object code, to be edited
                           $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)  # unique definitions cannot be made local
    if(level MATCHES "avx512|amx" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      # False alarms inside g++ 12's own headers; what is true of SOURCES is said at the other levels.
      target_compile_options(${code} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
    endif()
    set_target_properties(${code} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF UNITY_BUILD OFF)
    set(results)
    foreach(source ${ARG_SOURCES})
      list(LENGTH results number)
      list(APPEND results ${folder}/${level}_${number}.o)
    endforeach()
    add_custom_command(OUTPUT ${results}
      COMMAND ${CMAKE_COMMAND} "-DOBJECTS=$<TARGET_OBJECTS:${code}>" "-DRESULTS=${results}" -DNM=${CMAKE_NM}
              -DOBJCOPY=${CMAKE_OBJCOPY} -DOBJDUMP=${CMAKE_OBJDUMP} -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/LutraIsolate.cmake
      DEPENDS ${code} $<TARGET_OBJECTS:${code}> ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/LutraIsolate.cmake
      VERBATIM)
    list(APPEND objects ${results})
    list(APPEND tags lutra::simd::${level})
  endforeach()
  if(NOT objects)
    message(FATAL_ERROR "lutra_add_dispatched_library(${target}): none of '${ARG_LEVELS}' is for this architecture, which has: ${here}")
  endif()
  list(JOIN tags ", " tags)
  file(CONFIGURE OUTPUT ${folder}/${target}_levels.hpp @ONLY CONTENT [[
// Written by lutra_add_dispatched_library.
#pragma once

#include <lutra/simd/dispatch.hpp>

using @target@_levels = lutra::simd::level_list<@tags@>;
]])
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(${target} STATIC ${objects})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${target} INTERFACE ${folder})
  target_link_libraries(${target} PUBLIC lutra::lutra ${ARG_LIBRARIES})
endfunction()
