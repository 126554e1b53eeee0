#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "http/message.h"
#include "rpc/status.h"

/// The one table of what a status is to HTTP, HTTP/2 and HTTP/3, and they to it.

namespace tern::rpc {

/// The HTTP status that stands for a code, in Connect and REST (google/rpc/code.proto): 404 for
/// NOT_FOUND, 499 for CANCELLED.
http::Status http_status(Code code) noexcept;

/// What an HTTP status means where the peer did not speak its dialect, say a proxy's 502: to gRPC
/// and gRPC-Web (PROTOCOL-HTTP2.md, http-grpc-status-mapping.md) and to Connect, which differ in
/// 431.
Code code_from_http(http::Status status) noexcept;
Code connect_code_from_http(http::Status status) noexcept;

/// What a reset stream means to a gRPC client: by RFC 9113's error code, and by RFC 9114's. The
/// server's own reset; a code that is in neither RFC is UNKNOWN.
Code code_from_http2_error(std::uint64_t error) noexcept;
Code code_from_http3_error(std::uint64_t error) noexcept;

/// What an error of the layers below is to a caller: resets as above, a refusal before processing
/// and a lost connection are UNAVAILABLE. A call's own deadline is not among them.
Code code_from_error(const Error& error) noexcept;

/// The server had not begun with the request (REFUSED_STREAM, H3_REQUEST_REJECTED, GOAWAY): it may
/// be sent again, whatever it does.
bool not_processed(const Error& error) noexcept;

}  // namespace tern::rpc
