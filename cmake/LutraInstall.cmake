# Header-only install: headers, find_package(lutra) and pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/lutra)  # share/: nothing here depends on the machine
install(DIRECTORY include/lutra DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(TARGETS lutra EXPORT lutraTargets)
install(EXPORT lutraTargets NAMESPACE lutra:: DESTINATION ${package_dir})

configure_package_config_file(cmake/lutraConfig.cmake.in lutraConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(lutraConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lutraConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/lutraConfigVersion.cmake
              cmake/LutraXsimd.cmake cmake/LutraLevels.cmake cmake/LutraDispatch.cmake cmake/LutraIsolate.cmake
        DESTINATION ${package_dir})

# pkg-config has no way to search for headers, so it names the directories found now (not the
# compiler's own: -isystem /usr/include would hide the C headers from the C++ ones).
get_target_property(directories Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
list(APPEND directories ${LUTRA_XSIMD_INCLUDE})
list(REMOVE_ITEM directories ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
list(TRANSFORM directories PREPEND " -isystem " OUTPUT_VARIABLE lutra_system_flags)
string(CONCAT lutra_system_flags ${lutra_system_flags})
configure_file(cmake/lutra.pc.in lutra.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lutra.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
