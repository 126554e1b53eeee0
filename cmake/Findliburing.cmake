# liburing::liburing, found with pkg-config's liburing (Debian: liburing-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_liburing QUIET liburing)
find_path(liburing_INCLUDE_DIR liburing.h HINTS ${PC_liburing_INCLUDE_DIRS})
find_library(liburing_LIBRARY uring HINTS ${PC_liburing_LIBRARY_DIRS})
mark_as_advanced(liburing_INCLUDE_DIR liburing_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(liburing REQUIRED_VARS liburing_LIBRARY liburing_INCLUDE_DIR
  VERSION_VAR PC_liburing_VERSION
  REASON_FAILURE_MESSAGE "install liburing-dev (./tools/dev setup does)")

if(liburing_FOUND AND NOT TARGET liburing::liburing)
  add_library(liburing::liburing UNKNOWN IMPORTED)
  set_target_properties(liburing::liburing PROPERTIES
    IMPORTED_LOCATION "${liburing_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${liburing_INCLUDE_DIR}")
endif()
