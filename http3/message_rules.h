#pragma once

#include <cstdint>

#include "http3/field_line.h"

namespace tern::http3 {

/// What a header or trailer section may say (RFC 9114 §4.2 to §4.4): judges its lines one by one.
class MessageRules {
 public:
  enum class Kind : std::uint8_t { request, response, request_trailers, response_trailers };
  enum class Verdict : std::uint8_t {
    take,
    leave_out,  ///< a content-length where it has no meaning: none the worse without it
    malformed,  ///< the message is (RFC 9114 §4.1.2)
  };

  /// `connect`: of a response or trailers: the request's method was CONNECT. `protocol`: of a
  /// request: :protocol is allowed (RFC 9220).
  void begin(Kind kind, bool connect, bool protocol) noexcept;
  Verdict line(const FieldLine& line) noexcept;
  /// The section ends here; false: something is missing, or does not go together.
  bool complete() noexcept;

  /// -1: none, or of no account.
  std::int64_t content_length() const noexcept { return content_length_; }
  int status() const noexcept { return status_; }
  bool has_priority() const noexcept { return (seen_ & kPriority) != 0; }
  /// A line that is no pseudo-header has come.
  bool has_fields() const noexcept { return (seen_ & kFields) != 0; }
  friend bool operator==(const MessageRules&, const MessageRules&) = default;

 private:
  static constexpr std::uint16_t kMethod = 1 << 0;
  static constexpr std::uint16_t kScheme = 1 << 1;
  static constexpr std::uint16_t kAuthority = 1 << 2;
  static constexpr std::uint16_t kPath = 1 << 3;
  static constexpr std::uint16_t kProtocol = 1 << 4;
  static constexpr std::uint16_t kStatus = 1 << 5;
  static constexpr std::uint16_t kHost = 1 << 6;
  static constexpr std::uint16_t kPriority = 1 << 7;
  static constexpr std::uint16_t kFields = 1 << 8;  // a line that is no pseudo-header
  static constexpr std::uint16_t kConnect = 1 << 9;
  static constexpr std::uint16_t kOptions = 1 << 10;
  static constexpr std::uint16_t kHttpScheme = 1 << 11;
  static constexpr std::uint16_t kAbsolutePath = 1 << 12;
  static constexpr std::uint16_t kAsterisk = 1 << 13;
  static constexpr std::uint16_t kProtocolAllowed = 1 << 14;

  bool trailers() const noexcept {
    return kind_ == Kind::request_trailers || kind_ == Kind::response_trailers;
  }
  bool once(std::uint16_t which, std::string_view value) noexcept;
  Verdict pseudo(const FieldLine& line) noexcept;
  Verdict status(std::string_view value) noexcept;
  Verdict length(std::string_view value) noexcept;

  std::int64_t content_length_ = -1;
  int status_ = 0;
  std::uint16_t seen_ = 0;
  Kind kind_ = Kind::request;
};

}  // namespace tern::http3
