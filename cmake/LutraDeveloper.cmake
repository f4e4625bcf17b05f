# Warnings, sanitizers and levels of our own targets; nothing here reaches a user of lutra::lutra.
include(LutraLevels)
set(LUTRA_LEVEL native CACHE STRING "Instruction set of tests, benches and examples: ${LUTRA_LEVELS}")
set(LUTRA_SANITIZE "" CACHE STRING "Sanitizers of tests and larger examples, e.g. address,undefined")
option(LUTRA_WERROR "Warnings are errors in tests, benches and examples" ON)
if(NOT LUTRA_LEVEL IN_LIST LUTRA_LEVELS)
  message(FATAL_ERROR "LUTRA_LEVEL is '${LUTRA_LEVEL}', allowed: ${LUTRA_LEVELS}")
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_library(lutra_developer INTERFACE)
target_link_libraries(lutra_developer INTERFACE lutra::lutra)
target_compile_options(lutra_developer INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow $<$<BOOL:${LUTRA_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms inside g++ 12's own AVX-512 headers.
  target_compile_options(lutra_developer INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized
    -Wno-restrict)  # and inside its std::string ("x" + s)
endif()
if(LUTRA_SANITIZE)
  # Without the checks of pointers that AddressSanitizer makes anyway: they double the time to compile kernels.
  target_compile_options(lutra_developer INTERFACE -fsanitize=${LUTRA_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all -fno-sanitize=null,pointer-overflow,object-size)
  # Functions of kernels stay functions: inlined whole without optimisation, every one is checked again wherever it is
  # used (test_ir took 186 s and 11 GB to compile, now 73 s and 4 GB).
  target_compile_definitions(lutra_developer INTERFACE LUTRA_TEST_FEW_LEVELS always_inline=unused)
  # The same checks of addresses, made by functions instead of in place: less to compile, slower to run.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND LUTRA_SANITIZE MATCHES "address")
    set(LUTRA_SANITIZE_BY_CALLS "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
  endif()
  set(LUTRA_SANITIZE_OPTIMISED -O1 -Ualways_inline)  # for what computes so much that it pays
  target_link_options(lutra_developer INTERFACE -fsanitize=${LUTRA_SANITIZE})
endif()

# An executable built with the flags of one level (default: LUTRA_LEVEL).
function(lutra_add_executable name)
  cmake_parse_arguments(ARG "" "LEVEL" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_LEVEL)
    set(ARG_LEVEL ${LUTRA_LEVEL})
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lutra_developer ${ARG_LIBRARIES})
  target_compile_options(${name} PRIVATE ${LUTRA_FLAGS_${ARG_LEVEL}})
endfunction()

# The kernels of LUTRA_LEVEL as an object of their own, compiled once per build for the executables that this is called
# for; each of them compiled them again (g++ 17 to 23 CPU seconds, clang with sanitizers 26 to 45).
add_library(lutra_kernels OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/kernels/native.cpp)
target_link_libraries(lutra_kernels PRIVATE lutra_developer)
target_compile_options(lutra_kernels PRIVATE ${LUTRA_FLAGS_${LUTRA_LEVEL}} ${LUTRA_SANITIZE_OPTIMISED}
                       ${LUTRA_SANITIZE_BY_CALLS})
target_compile_definitions(lutra_kernels INTERFACE LUTRA_EXTERN_KERNELS)
function(lutra_share_kernels)
  foreach(name ${ARGN})
    target_link_libraries(${name} PRIVATE lutra_kernels)
  endforeach()
endfunction()

# What examples (and the tests of their headers) use; the library itself needs none of it.
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(TBB CONFIG QUIET)
add_library(lutra_examples INTERFACE)
target_include_directories(lutra_examples INTERFACE ${PROJECT_SOURCE_DIR}/examples)
target_compile_definitions(lutra_examples INTERFACE LUTRA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(lutra_examples INTERFACE nlohmann_json::nlohmann_json CLI11::CLI11 ZLIB::ZLIB)
if(TBB_FOUND)
  target_link_libraries(lutra_examples INTERFACE TBB::tbb)
  target_compile_definitions(lutra_examples INTERFACE LUTRA_EXAMPLES_TBB)
endif()
