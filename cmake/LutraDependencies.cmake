# Eigen and xsimd, always as system headers. No version is given to find_package (see README).
set(LUTRA_EIGEN_ROOT "" CACHE PATH "Prefix of an Eigen >= 3.4 installation")
set(LUTRA_XSIMD_ROOT "" CACHE PATH "Prefix of an xsimd >= 13 installation")
if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/.deps/root/usr")
  list(PREPEND CMAKE_PREFIX_PATH "${CMAKE_CURRENT_SOURCE_DIR}/.deps/root/usr")
endif()
list(PREPEND CMAKE_PREFIX_PATH ${LUTRA_EIGEN_ROOT} ${LUTRA_XSIMD_ROOT})

find_package(Eigen3 CONFIG QUIET)
if(NOT Eigen3_FOUND)
  message(FATAL_ERROR "lutra needs Eigen >= 3.4: install libeigen3-dev or set -DLUTRA_EIGEN_ROOT")
endif()
find_path(LUTRA_XSIMD_INCLUDE xsimd/xsimd.hpp
  HINTS ${LUTRA_XSIMD_ROOT}/include ${CMAKE_CURRENT_SOURCE_DIR}/.deps/root/usr/include)
if(LUTRA_XSIMD_INCLUDE)
  file(STRINGS "${LUTRA_XSIMD_INCLUDE}/xsimd/config/xsimd_config.hpp" line REGEX "XSIMD_VERSION_MAJOR")
  string(REGEX MATCH "[0-9]+" LUTRA_XSIMD_MAJOR "${line}")
endif()
if(NOT LUTRA_XSIMD_INCLUDE OR LUTRA_XSIMD_MAJOR LESS 13)
  message(FATAL_ERROR "lutra needs xsimd >= 13 (found: '${LUTRA_XSIMD_MAJOR}'): run scripts/setup.sh, "
    "install libxsimd-dev of Debian 13 or newer, or set -DLUTRA_XSIMD_ROOT")
endif()

function(lutra_link_dependencies target)
  target_link_libraries(${target} INTERFACE Eigen3::Eigen)
  target_include_directories(${target} SYSTEM INTERFACE $<BUILD_INTERFACE:${LUTRA_XSIMD_INCLUDE}>)
endfunction()
