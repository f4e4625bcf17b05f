# Eigen and xsimd, always as system headers: both warn under strict flags. find_package gets no
# version: Eigen 3.4.0 rejects ranges, Eigen 5 rejects "3.4", and xsimd's package accepts one major
# only. The versions are read from the headers instead.
set(LUTRA_EIGEN_ROOT "" CACHE PATH "Prefix of an Eigen >= 3.4 installation")
set(LUTRA_XSIMD_ROOT "" CACHE PATH "Prefix of an xsimd >= 13 installation")

list(PREPEND CMAKE_PREFIX_PATH ${LUTRA_EIGEN_ROOT})
find_package(Eigen3 CONFIG QUIET)
if(NOT Eigen3_FOUND OR Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "lutra needs Eigen >= 3.4 (found: '${Eigen3_VERSION}'): install libeigen3-dev or set -DLUTRA_EIGEN_ROOT=<prefix>")
endif()
include(LutraXsimd)  # scripts/setup.sh puts a newer xsimd into .deps/root where the packaged one is too old
lutra_find_xsimd(LUTRA_XSIMD_INCLUDE ${LUTRA_XSIMD_ROOT} ${CMAKE_CURRENT_LIST_DIR}/../.deps/root/usr)
