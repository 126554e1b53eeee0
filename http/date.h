#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/time.h"

/// HTTP dates (RFC 9110 §5.6.7).

namespace tern::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT". A value that holds its text.
class HttpDate {
 public:
  /// Years 0 to 9999; what lies outside is clamped.
  explicit HttpDate(UnixSeconds seconds) noexcept;
  std::string_view view() const noexcept { return {text_.data(), text_.size()}; }
  operator std::string_view() const noexcept { return view(); }

 private:
  std::array<char, 29> text_;
};

/// Reads IMF-fixdate and the two obsolete forms, RFC 850 ("Sunday, 06-Nov-94 08:49:37 GMT") and
/// asctime ("Sun Nov  6 08:49:37 1994"). `now` places RFC 850's two-digit years: a date more than
/// 50 years ahead is one of the past. The day's name must be one, but need not fit the date.
std::optional<UnixSeconds> parse_http_date(std::string_view text, UnixSeconds now) noexcept;

/// "2026-11-06T08:49:37Z" (RFC 3339), for logs.
class Rfc3339 {
 public:
  explicit Rfc3339(UnixSeconds seconds) noexcept;
  std::string_view view() const noexcept { return {text_.data(), text_.size()}; }
  operator std::string_view() const noexcept { return view(); }

 private:
  std::array<char, 20> text_;
};

}  // namespace tern::http
