# install, and find_package(tern): an exported target for each room, tern::base … tern::gateway.

include(CMakePackageConfigHelpers)

set(_tern_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tern")

get_property(_tern_libraries GLOBAL PROPERTY TERN_LIBRARIES)
install(TARGETS ${_tern_libraries} EXPORT tern_targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  # Includes are written from the root of the repository: "base/bytes.h", here include/tern/base/bytes.h.
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/tern"
  FILE_SET headers_alone DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/tern")
install(EXPORT tern_targets FILE tern_targets.cmake NAMESPACE tern:: DESTINATION "${_tern_package_dir}")

set(TERN_PROTO_DIR "${CMAKE_INSTALL_DATADIR}/tern/proto")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/tern-config.cmake.in"
  "${PROJECT_BINARY_DIR}/cmake/tern-config.cmake" INSTALL_DESTINATION "${_tern_package_dir}"
  PATH_VARS TERN_PROTO_DIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/cmake/tern-config-version.cmake"
  COMPATIBILITY SameMinorVersion)  # until 1.0, a minor version may break the API

file(GLOB _tern_finders "${PROJECT_SOURCE_DIR}/cmake/Find*.cmake")
install(FILES
  "${PROJECT_BINARY_DIR}/cmake/tern-config.cmake"
  "${PROJECT_BINARY_DIR}/cmake/tern-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/tern_dependencies.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/tern_generate.cmake"
  ${_tern_finders}
  DESTINATION "${_tern_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
