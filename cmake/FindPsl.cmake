# Psl::psl, found with pkg-config's libpsl (Debian: libpsl-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_Psl QUIET libpsl)
find_path(Psl_INCLUDE_DIR libpsl.h HINTS ${PC_Psl_INCLUDE_DIRS})
find_library(Psl_LIBRARY psl HINTS ${PC_Psl_LIBRARY_DIRS})
mark_as_advanced(Psl_INCLUDE_DIR Psl_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Psl
  REQUIRED_VARS Psl_LIBRARY Psl_INCLUDE_DIR
  VERSION_VAR PC_Psl_VERSION
  REASON_FAILURE_MESSAGE "install libpsl-dev (./tools/dev setup does)")

if(Psl_FOUND AND NOT TARGET Psl::psl)
  add_library(Psl::psl UNKNOWN IMPORTED)
  set_target_properties(Psl::psl PROPERTIES
    IMPORTED_LOCATION "${Psl_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Psl_INCLUDE_DIR}")
endif()
