#pragma once

#include <cstdint>
#include <optional>

/// Error codes of WebTransport (draft-ietf-webtrans-http3-16 §9.5, §4.6).

namespace tern::webtransport {

/// What an application gives to `Stream::reset`, `Stream::stop_sending` and `Session::close`.
using ApplicationCode = std::uint32_t;

/// Codes of HTTP/3 that are WebTransport's own.
namespace http3_code {
inline constexpr std::uint64_t kBufferedStreamRejected = 0x3994bd84;
inline constexpr std::uint64_t kSessionGone = 0x170d7b68;
inline constexpr std::uint64_t kFlowControl = 0x045d4487;
inline constexpr std::uint64_t kAlpn = 0x0817b3dd;
inline constexpr std::uint64_t kRequirementsNotMet = 0x212c0d48;
/// The range that application codes are mapped to.
inline constexpr std::uint64_t kFirstApplication = 0x52e4a40fa8db;
inline constexpr std::uint64_t kLastApplication = 0x52e5ac983162;
}  // namespace http3_code

/// The HTTP/3 code that carries `code` in RESET_STREAM and STOP_SENDING: the codes that HTTP/3
/// reserves for grease are left out of the range.
constexpr std::uint64_t to_http3(ApplicationCode code) noexcept {
  return http3_code::kFirstApplication + code + code / 0x1e;
}

/// Back; nothing for a code outside the range, or a reserved one: a reset without an application
/// code.
constexpr std::optional<ApplicationCode> from_http3(std::uint64_t code) noexcept {
  if (code < http3_code::kFirstApplication || code > http3_code::kLastApplication) {
    return std::nullopt;
  }
  if ((code - 0x21) % 0x1f == 0) return std::nullopt;
  const std::uint64_t shifted = code - http3_code::kFirstApplication;
  return static_cast<ApplicationCode>(shifted - shifted / 0x1f);
}

}  // namespace tern::webtransport
