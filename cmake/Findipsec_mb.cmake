# ipsec_mb::ipsec_mb, Intel's multi-buffer crypto library (Debian: libipsec-mb-dev, amd64 only).
# Optional: without it, AES-GCM is BoringSSL's.

find_path(ipsec_mb_INCLUDE_DIR intel-ipsec-mb.h)
find_library(ipsec_mb_LIBRARY IPSec_MB)
mark_as_advanced(ipsec_mb_INCLUDE_DIR ipsec_mb_LIBRARY)

if(ipsec_mb_INCLUDE_DIR)
  file(STRINGS "${ipsec_mb_INCLUDE_DIR}/intel-ipsec-mb.h" _ipsec_mb_lines
    REGEX "^#define IMB_VERSION_STR")
  if("${_ipsec_mb_lines}" MATCHES "\"([0-9.]+)")
    set(ipsec_mb_VERSION ${CMAKE_MATCH_1})
  endif()
  unset(_ipsec_mb_lines)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ipsec_mb REQUIRED_VARS ipsec_mb_LIBRARY ipsec_mb_INCLUDE_DIR
  VERSION_VAR ipsec_mb_VERSION
  REASON_FAILURE_MESSAGE "optional, x86-64 only: libipsec-mb-dev makes AES-GCM faster")

if(ipsec_mb_FOUND AND NOT TARGET ipsec_mb::ipsec_mb)
  add_library(ipsec_mb::ipsec_mb UNKNOWN IMPORTED)
  set_target_properties(ipsec_mb::ipsec_mb PROPERTIES
    IMPORTED_LOCATION "${ipsec_mb_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${ipsec_mb_INCLUDE_DIR}")
endif()
