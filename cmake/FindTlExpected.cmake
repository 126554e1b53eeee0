# tl::expected, the header-only std::expected of C++20 code (Debian: libexpected-dev).

find_path(TlExpected_INCLUDE_DIR tl/expected.hpp)
mark_as_advanced(TlExpected_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TlExpected REQUIRED_VARS TlExpected_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libexpected-dev (./tools/dev setup does)")

if(TlExpected_FOUND AND NOT TARGET tl::expected)
  add_library(tl::expected INTERFACE IMPORTED)
  set_target_properties(tl::expected PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${TlExpected_INCLUDE_DIR}")
endif()
