# Warnings, sanitizers and levels of our own targets; nothing here reaches a user of lutra::lutra.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_library(lutra_developer INTERFACE)
target_link_libraries(lutra_developer INTERFACE lutra::lutra)
target_compile_options(lutra_developer INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms inside g++ 12's own AVX-512 headers.
  target_compile_options(lutra_developer INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
if(LUTRA_SANITIZE)
  target_compile_options(lutra_developer INTERFACE -fsanitize=${LUTRA_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
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
