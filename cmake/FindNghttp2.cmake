# Nghttp2::nghttp2, found with pkg-config's libnghttp2 (Debian: libnghttp2-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_Nghttp2 QUIET libnghttp2)
find_path(Nghttp2_INCLUDE_DIR nghttp2/nghttp2.h HINTS ${PC_Nghttp2_INCLUDE_DIRS})
find_library(Nghttp2_LIBRARY nghttp2 HINTS ${PC_Nghttp2_LIBRARY_DIRS})
mark_as_advanced(Nghttp2_INCLUDE_DIR Nghttp2_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Nghttp2 REQUIRED_VARS Nghttp2_LIBRARY Nghttp2_INCLUDE_DIR
  VERSION_VAR PC_Nghttp2_VERSION
  REASON_FAILURE_MESSAGE "install libnghttp2-dev (./tools/dev setup does)")

if(Nghttp2_FOUND AND NOT TARGET Nghttp2::nghttp2)
  add_library(Nghttp2::nghttp2 UNKNOWN IMPORTED)
  set_target_properties(Nghttp2::nghttp2 PROPERTIES
    IMPORTED_LOCATION "${Nghttp2_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Nghttp2_INCLUDE_DIR}")
endif()
