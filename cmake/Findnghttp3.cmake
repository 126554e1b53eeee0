# nghttp3::nghttp3, found with pkg-config's libnghttp3 (Debian: libnghttp3-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_nghttp3 QUIET libnghttp3)
find_path(nghttp3_INCLUDE_DIR nghttp3/nghttp3.h HINTS ${PC_nghttp3_INCLUDE_DIRS})
find_library(nghttp3_LIBRARY nghttp3 HINTS ${PC_nghttp3_LIBRARY_DIRS})
mark_as_advanced(nghttp3_INCLUDE_DIR nghttp3_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(nghttp3 REQUIRED_VARS nghttp3_LIBRARY nghttp3_INCLUDE_DIR
  VERSION_VAR PC_nghttp3_VERSION
  REASON_FAILURE_MESSAGE "install libnghttp3-dev (./tools/dev setup does)")

if(nghttp3_FOUND AND NOT TARGET nghttp3::nghttp3)
  add_library(nghttp3::nghttp3 UNKNOWN IMPORTED)
  set_target_properties(nghttp3::nghttp3 PROPERTIES
    IMPORTED_LOCATION "${nghttp3_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${nghttp3_INCLUDE_DIR}")
endif()
