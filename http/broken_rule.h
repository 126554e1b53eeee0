#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Which rule of RFC 9113 §8 or RFC 9114 §4 a message breaks, in words, for logs and errors. Asked
/// afterwards, of a message that is known to be wrong. Internal to HTTP/2 and HTTP/3.

namespace tern::http {

/// Where each rule stands in the RFC.
struct RuleSections {
  std::string_view rfc;
  std::string_view framing;
  std::string_view malformed;  ///< what becomes of a message, and content-length
  std::string_view upper_case;
  std::string_view names;
  std::string_view values;
  std::string_view connection_specific;
  std::string_view pseudo;
  std::string_view in_trailers;  ///< pseudo-headers
  std::string_view request;
  std::string_view response;
  std::string_view connect;
  std::string_view upgrade;
};
inline constexpr RuleSections kHttp2Rules{"RFC 9113", "8.1",   "8.1.1", "8.2.1", "8.2.1",
                                          "8.2.1",    "8.2.2", "8.3",   "8.1",   "8.3.1",
                                          "8.3.2",    "8.5",   "8.6"};
inline constexpr RuleSections kHttp3Rules{"RFC 9114", "4.1", "4.1.2", "4.2", "10.3",
                                          "10.3",     "4.2", "4.3",   "4.3", "4.3.1",
                                          "4.3.2",    "4.4", "4.5"};

/// What was read of a message. Views live as long as what they are of.
struct PartOfMessage {
  enum class Part : std::uint8_t { head, body, trailers };
  bool request = false;
  Part part = Part::head;  ///< which is being read
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;  ///< or `host`
  std::string_view path;
  std::string_view protocol;
  bool protocol_allowed = true;  ///< our settings allow `:protocol`
  int status = 0;
  bool fields = false;  ///< lines that are no pseudo-headers
  std::int64_t content_length = -1;
};

/// The message may not have this line. What the peer has put in is escaped, and cut where it is
/// long; no value is told that could be a secret.
std::string rule_of_line(const RuleSections& sections, const PartOfMessage& message,
                         std::string_view name, std::string_view value);
/// All its lines were taken, and yet it is wrong: something is missing, or does not go together.
std::string rule_of_whole(const RuleSections& sections, const PartOfMessage& message);

}  // namespace tern::http
