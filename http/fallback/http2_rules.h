#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::fallback {

/// Internal to http/fallback: which rule of RFC 9113 §8 a message breaks, in words, for logs and
/// errors. nghttp2 judges messages, and says no more than that one is wrong; so this is asked
/// afterwards, of a message that is known to be.

/// What was read of it. Views live as long as what they are of.
struct Http2Message {
  enum class Part : std::uint8_t { head, body, trailers };
  bool request = false;
  Part part = Part::head;  ///< which is being read
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;  ///< or `host`
  std::string_view path;
  std::string_view protocol;
  int status = 0;
  bool fields = false;  ///< lines that are no pseudo-headers
  std::int64_t content_length = -1;
};

/// The message may not have this line. What the peer has put in is escaped, and cut where it is
/// long; no value is told that could be a secret.
std::string rule_of_line(const Http2Message& message, std::string_view name,
                         std::string_view value);
/// All its lines were taken, and yet it is wrong: something is missing, or does not go together.
std::string rule_of_whole(const Http2Message& message);

}  // namespace tern::fallback
