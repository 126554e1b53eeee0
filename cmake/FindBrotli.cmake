# Brotli::enc and Brotli::dec, found with pkg-config's libbrotlienc (Debian: libbrotli-dev).

find_package(PkgConfig QUIET)
pkg_check_modules(PC_Brotli QUIET libbrotlienc)
find_path(Brotli_INCLUDE_DIR brotli/encode.h HINTS ${PC_Brotli_INCLUDE_DIRS})
find_library(Brotli_ENC_LIBRARY brotlienc HINTS ${PC_Brotli_LIBRARY_DIRS})
find_library(Brotli_DEC_LIBRARY brotlidec HINTS ${PC_Brotli_LIBRARY_DIRS})
mark_as_advanced(Brotli_INCLUDE_DIR Brotli_ENC_LIBRARY Brotli_DEC_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Brotli
  REQUIRED_VARS Brotli_ENC_LIBRARY Brotli_DEC_LIBRARY Brotli_INCLUDE_DIR
  VERSION_VAR PC_Brotli_VERSION
  REASON_FAILURE_MESSAGE "install libbrotli-dev (./tools/dev setup does)")

if(Brotli_FOUND AND NOT TARGET Brotli::enc)
  foreach(part enc dec)
    string(TOUPPER ${part} upper)
    add_library(Brotli::${part} UNKNOWN IMPORTED)
    set_target_properties(Brotli::${part} PROPERTIES
      IMPORTED_LOCATION "${Brotli_${upper}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${Brotli_INCLUDE_DIR}")
  endforeach()
endif()
