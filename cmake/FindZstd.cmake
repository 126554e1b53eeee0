# Zstd::zstd, found with pkg-config's libzstd (Debian: libzstd-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_Zstd QUIET libzstd)
find_path(Zstd_INCLUDE_DIR zstd.h HINTS ${PC_Zstd_INCLUDE_DIRS})
find_library(Zstd_LIBRARY zstd HINTS ${PC_Zstd_LIBRARY_DIRS})
mark_as_advanced(Zstd_INCLUDE_DIR Zstd_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Zstd REQUIRED_VARS Zstd_LIBRARY Zstd_INCLUDE_DIR
  VERSION_VAR PC_Zstd_VERSION
  REASON_FAILURE_MESSAGE "install libzstd-dev (./tools/dev setup does)")

if(Zstd_FOUND AND NOT TARGET Zstd::zstd)
  add_library(Zstd::zstd UNKNOWN IMPORTED)
  set_target_properties(Zstd::zstd PROPERTIES
    IMPORTED_LOCATION "${Zstd_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Zstd_INCLUDE_DIR}")
endif()
