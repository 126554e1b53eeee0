#include "rpc/status_table.h"

#include <array>

namespace tern::rpc {

namespace {

constexpr std::array<std::uint16_t, kCodes> kHttp = {
    200,  // OK
    499,  // CANCELLED
    500,  // UNKNOWN
    400,  // INVALID_ARGUMENT
    504,  // DEADLINE_EXCEEDED
    404,  // NOT_FOUND
    409,  // ALREADY_EXISTS
    403,  // PERMISSION_DENIED
    429,  // RESOURCE_EXHAUSTED
    400,  // FAILED_PRECONDITION
    409,  // ABORTED
    400,  // OUT_OF_RANGE
    501,  // UNIMPLEMENTED
    500,  // INTERNAL
    503,  // UNAVAILABLE
    500,  // DATA_LOSS
    401,  // UNAUTHENTICATED
};

/// One row a meaning: RFC 9113 §7 beside RFC 9114 §8.1.
struct Reset {
  std::uint64_t http2;
  std::uint64_t http3;
  Code code;
};
constexpr std::uint64_t kNoCode = UINT64_MAX;
constexpr std::array kResets = {
    Reset{0x0, 0x100, Code::internal},             // NO_ERROR
    Reset{0x1, 0x101, Code::internal},             // PROTOCOL_ERROR, GENERAL_PROTOCOL_ERROR
    Reset{0x2, 0x102, Code::internal},             // INTERNAL_ERROR
    Reset{0x3, kNoCode, Code::internal},           // FLOW_CONTROL_ERROR
    Reset{0x4, kNoCode, Code::internal},           // SETTINGS_TIMEOUT
    Reset{0x5, kNoCode, Code::internal},           // STREAM_CLOSED
    Reset{kNoCode, 0x103, Code::internal},         // STREAM_CREATION_ERROR
    Reset{kNoCode, 0x104, Code::internal},         // CLOSED_CRITICAL_STREAM
    Reset{kNoCode, 0x105, Code::internal},         // FRAME_UNEXPECTED
    Reset{0x6, 0x106, Code::internal},             // FRAME_SIZE_ERROR, FRAME_ERROR
    Reset{0xb, 0x107, Code::resource_exhausted},   // ENHANCE_YOUR_CALM, EXCESSIVE_LOAD
    Reset{kNoCode, 0x108, Code::internal},         // ID_ERROR
    Reset{kNoCode, 0x109, Code::internal},         // SETTINGS_ERROR
    Reset{kNoCode, 0x10a, Code::internal},         // MISSING_SETTINGS
    Reset{0x7, 0x10b, Code::unavailable},          // REFUSED_STREAM, REQUEST_REJECTED
    Reset{0x8, 0x10c, Code::cancelled},            // CANCEL, REQUEST_CANCELLED
    Reset{kNoCode, 0x10d, Code::internal},         // REQUEST_INCOMPLETE
    Reset{kNoCode, 0x10e, Code::internal},         // MESSAGE_ERROR
    Reset{0xa, 0x10f, Code::internal},             // CONNECT_ERROR
    Reset{0x9, kNoCode, Code::internal},           // COMPRESSION_ERROR
    Reset{kNoCode, 0x110, Code::internal},         // VERSION_FALLBACK
    Reset{0xc, kNoCode, Code::permission_denied},  // INADEQUATE_SECURITY
    Reset{0xd, kNoCode, Code::internal},           // HTTP_1_1_REQUIRED
};

}  // namespace

http::Status http_status(Code code) noexcept {
  return static_cast<http::Status>(kHttp[static_cast<std::size_t>(code)]);
}

Code code_from_http(http::Status status) noexcept {
  switch (http::code(status)) {
    case 400:
    case 431: return Code::internal;
    case 401: return Code::unauthenticated;
    case 403: return Code::permission_denied;
    case 404: return Code::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return Code::unavailable;
    default: return Code::unknown;
  }
}

Code connect_code_from_http(http::Status status) noexcept {
  return status == http::Status::header_fields_too_large ? Code::unknown : code_from_http(status);
}

Code code_from_http2_error(std::uint64_t error) noexcept {
  for (const Reset& reset : kResets) {
    if (reset.http2 == error && error != kNoCode) return reset.code;
  }
  return Code::unknown;
}

Code code_from_http3_error(std::uint64_t error) noexcept {
  for (const Reset& reset : kResets) {
    if (reset.http3 == error && error != kNoCode) return reset.code;
  }
  // QPACK's and those reserved for greasing (RFC 9114 §8.1: treated as NO_ERROR).
  const bool qpack = error >= 0x200 && error <= 0x202;
  const bool grease = error >= 0x21 && (error - 0x21) % 0x1f == 0;
  return qpack || grease ? Code::internal : Code::unknown;
}

Code code_from_error(const Error& error) noexcept {
  switch (error.domain) {
    case Domain::application:
      // HTTP/3's codes begin where HTTP/2's have long ended.
      return error.code < 0x100 ? code_from_http2_error(error.code)
                                : code_from_http3_error(error.code);
    case Domain::http: return code_from_http(static_cast<http::Status>(error.code));
    case Domain::os:
    case Domain::tls:
    case Domain::quic: return Code::unavailable;
    case Domain::tern: break;
  }
  switch (static_cast<tern::Code>(error.code)) {
    case tern::Code::cancelled: return Code::cancelled;
    case tern::Code::timed_out:
    case tern::Code::closed:
    case tern::Code::rejected:
    case tern::Code::not_found:
    case tern::Code::stateless_reset:
    case tern::Code::version:
    case tern::Code::certificate: return Code::unavailable;
    case tern::Code::limit: return Code::resource_exhausted;
    case tern::Code::invalid: return Code::internal;
    case tern::Code::unsupported: return Code::unimplemented;
  }
  return Code::unknown;
}

bool not_processed(const Error& error) noexcept {
  if (error.is(tern::Code::rejected)) return true;
  return error.domain == Domain::application && error.origin == Origin::remote &&
         (error.code == 0x7 || error.code == 0x10b);
}

}  // namespace tern::rpc
