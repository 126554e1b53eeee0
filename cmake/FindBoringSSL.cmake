# BoringSSL::ssl, BoringSSL::crypto; BoringSSL_VERSION is its API version.
#
# Debian ships it as android-libboringssl-dev: headers under <include>/android, libraries under
# <libdir>/android, no pkg-config file. Linking the library by its full path gives programs the
# rpath they need. An OpenSSL found in its place is refused: the two cannot share a process.

find_path(BoringSSL_INCLUDE_DIR openssl/base.h PATH_SUFFIXES android)
find_library(BoringSSL_SSL_LIBRARY ssl PATH_SUFFIXES "${CMAKE_LIBRARY_ARCHITECTURE}/android" android
  NO_CMAKE_SYSTEM_PATH PATHS /usr/lib /usr/local/lib)
find_library(BoringSSL_CRYPTO_LIBRARY crypto PATH_SUFFIXES "${CMAKE_LIBRARY_ARCHITECTURE}/android" android
  NO_CMAKE_SYSTEM_PATH PATHS /usr/lib /usr/local/lib)
mark_as_advanced(BoringSSL_INCLUDE_DIR BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY)

if(BoringSSL_INCLUDE_DIR)
  file(STRINGS "${BoringSSL_INCLUDE_DIR}/openssl/base.h" _boringssl_lines
    REGEX "^#define (OPENSSL_IS_BORINGSSL|BORINGSSL_API_VERSION)")
  if("${_boringssl_lines}" MATCHES "OPENSSL_IS_BORINGSSL"
      AND "${_boringssl_lines}" MATCHES "BORINGSSL_API_VERSION ([0-9]+)")
    set(BoringSSL_VERSION ${CMAKE_MATCH_1})
  else()
    set(BoringSSL_NOT_FOUND_MESSAGE "(${BoringSSL_INCLUDE_DIR} holds OpenSSL, not BoringSSL)")
    unset(BoringSSL_INCLUDE_DIR CACHE)
  endif()
  unset(_boringssl_lines)
endif()

if(BoringSSL_CRYPTO_LIBRARY AND NOT BoringSSL_CHECKED_LIBRARY STREQUAL BoringSSL_CRYPTO_LIBRARY)
  file(STRINGS "${BoringSSL_CRYPTO_LIBRARY}" _boringssl_lines REGEX "BORINGSSL_self_test" LIMIT_COUNT 1)
  if(_boringssl_lines)
    set(BoringSSL_CHECKED_LIBRARY "${BoringSSL_CRYPTO_LIBRARY}" CACHE INTERNAL "")
  else()
    set(BoringSSL_NOT_FOUND_MESSAGE "(${BoringSSL_CRYPTO_LIBRARY} is OpenSSL, not BoringSSL)")
    unset(BoringSSL_CRYPTO_LIBRARY CACHE)
  endif()
  unset(_boringssl_lines)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL
  REQUIRED_VARS BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY BoringSSL_INCLUDE_DIR
  VERSION_VAR BoringSSL_VERSION
  REASON_FAILURE_MESSAGE "install android-libboringssl-dev (./tools/dev setup does) ${BoringSSL_NOT_FOUND_MESSAGE}")

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::ssl)
  add_library(BoringSSL::crypto UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::crypto PROPERTIES
    IMPORTED_LOCATION "${BoringSSL_CRYPTO_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${BoringSSL_INCLUDE_DIR}")
  add_library(BoringSSL::ssl UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::ssl PROPERTIES
    IMPORTED_LOCATION "${BoringSSL_SSL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${BoringSSL_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES BoringSSL::crypto)
endif()
