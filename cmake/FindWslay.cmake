# Wslay::wslay, found with pkg-config's libwslay (Debian: libwslay-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_Wslay QUIET libwslay)
find_path(Wslay_INCLUDE_DIR wslay/wslay.h HINTS ${PC_Wslay_INCLUDE_DIRS})
find_library(Wslay_LIBRARY wslay HINTS ${PC_Wslay_LIBRARY_DIRS})
mark_as_advanced(Wslay_INCLUDE_DIR Wslay_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Wslay REQUIRED_VARS Wslay_LIBRARY Wslay_INCLUDE_DIR
  VERSION_VAR PC_Wslay_VERSION
  REASON_FAILURE_MESSAGE "install libwslay-dev (./tools/dev setup does)")

if(Wslay_FOUND AND NOT TARGET Wslay::wslay)
  add_library(Wslay::wslay UNKNOWN IMPORTED)
  set_target_properties(Wslay::wslay PROPERTIES
    IMPORTED_LOCATION "${Wslay_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Wslay_INCLUDE_DIR}")
endif()
