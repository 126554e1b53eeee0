# ngtcp2::ngtcp2, found with pkg-config's libngtcp2 (Debian: libngtcp2-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_ngtcp2 QUIET libngtcp2)
find_path(ngtcp2_INCLUDE_DIR ngtcp2/ngtcp2.h HINTS ${PC_ngtcp2_INCLUDE_DIRS})
find_library(ngtcp2_LIBRARY ngtcp2 HINTS ${PC_ngtcp2_LIBRARY_DIRS})
mark_as_advanced(ngtcp2_INCLUDE_DIR ngtcp2_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ngtcp2 REQUIRED_VARS ngtcp2_LIBRARY ngtcp2_INCLUDE_DIR
  VERSION_VAR PC_ngtcp2_VERSION
  REASON_FAILURE_MESSAGE "install libngtcp2-dev (./tools/dev setup does)")

if(ngtcp2_FOUND AND NOT TARGET ngtcp2::ngtcp2)
  add_library(ngtcp2::ngtcp2 UNKNOWN IMPORTED)
  set_target_properties(ngtcp2::ngtcp2 PROPERTIES
    IMPORTED_LOCATION "${ngtcp2_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${ngtcp2_INCLUDE_DIR}")
endif()
