# The libraries that tern's libraries link, found the same way by this build and by find_package(tern).
# Each is PRIVATE to the one room that owns it (docs/ARCHITECTURE.md).

include(CMakeFindDependencyMacro)

if(CMAKE_FIND_PACKAGE_NAME STREQUAL "tern")
  macro(_tern_dependency)
    find_dependency(${ARGN})
  endmacro()
else()
  macro(_tern_dependency)
    find_package(${ARGN} REQUIRED)
  endmacro()
endif()

_tern_dependency(Threads)
_tern_dependency(TlExpected)     # base
_tern_dependency(fmt)            # base
_tern_dependency(BoringSSL)      # transport/tls, transport/quic
_tern_dependency(ngtcp2 1.11)    # transport/quic
_tern_dependency(liburing 2.3)   # transport/engine
_tern_dependency(ZLIB)           # http
_tern_dependency(Brotli)         # http
_tern_dependency(Zstd)           # http, transport/quic
_tern_dependency(Nghttp2 1.52)   # http/fallback
_tern_dependency(Wslay)          # http
_tern_dependency(Psl)            # http
_tern_dependency(Boost 1.74)     # http/fallback; Beast, header-only
_tern_dependency(nghttp3 1.8)    # http3
_tern_dependency(Protobuf 3.21)  # rpc

# transport/quic, optional: what the libraries were built with is what their user needs.
if(NOT CMAKE_FIND_PACKAGE_NAME STREQUAL "tern")
  find_package(ipsec_mb 1.3)
  set(TERN_HAVE_IPSEC_MB ${ipsec_mb_FOUND})
elseif(TERN_HAVE_IPSEC_MB)
  find_dependency(ipsec_mb 1.3)
endif()
