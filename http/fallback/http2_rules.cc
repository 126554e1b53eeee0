#include "http/fallback/http2_rules.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "http/escape.h"
#include "http/fields.h"
#include "http/message.h"

namespace tern::fallback {

namespace {

/// Of a name or value, what a line shows.
constexpr std::size_t kShown = 64;

std::string shown(std::string_view text) {
  return fmt::format("\"{}\"", http::escaped(text, kShown));
}

bool has_capitals(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool ends_blank(std::string_view text) noexcept {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  return !text.empty() && (blank(text.front()) || blank(text.back()));
}

std::string rule_of_pseudo(const Http2Message& message, std::string_view name,
                           std::string_view value) {
  if (message.part == Http2Message::Part::trailers) {
    return shown(name) + " in trailers, which have fields alone (section 8.1)";
  }
  struct Known {
    std::string_view name;
    bool seen;
  };
  const std::array<Known, 5> of_requests{{{":method", !message.method.empty()},
                                          {":scheme", !message.scheme.empty()},
                                          {":authority", !message.authority.empty()},
                                          {":path", !message.path.empty()},
                                          {":protocol", !message.protocol.empty()}}};
  const std::array<Known, 1> of_responses{{{":status", message.status != 0}}};
  const auto judge = [&](const auto& all) -> std::string {
    const auto known =
        std::find_if(all.begin(), all.end(), [name](const Known& one) { return one.name == name; });
    const char* what = message.request ? "request" : "response";
    if (known == all.end())
      return fmt::format("{}, which no {} has (section 8.3)", shown(name), what);
    if (message.fields)
      return shown(name) + " behind a field that is no pseudo-header (section 8.3)";
    if (known->seen) return shown(name) + " twice (section 8.3)";
    if (value.empty()) return shown(name) + " without a value (section 8.3.1)";
    if (name == ":status" && value == "101")
      return "status 101, which HTTP/2 has not (section 8.6)";
    // A path or an authority may hold what is not for logs.
    const bool open = name == ":method" || name == ":scheme" || name == ":status";
    return fmt::format("{} with a value that is none{}{} ({})", shown(name), open ? ": " : "",
                       open ? shown(value) : "",
                       message.request ? "section 8.3.1" : "section 8.3.2");
  };
  return message.request ? judge(of_requests) : judge(of_responses);
}

std::string rule_of_field(const Http2Message& message, std::string_view name,
                          std::string_view value) {
  if (name.empty()) return "a field without a name (section 8.2.1)";
  if (has_capitals(name)) {
    return fmt::format("the field name {}: they are in lower case (section 8.2.1)", shown(name));
  }
  if (!http::Fields::valid_name(name)) {
    return fmt::format("the field name {}, which is no token (section 8.2.1)", shown(name));
  }
  if (name == "te") return shown(name) + " with anything but \"trailers\" (section 8.2.2)";
  if (http::Fields::connection_specific(name, value)) {
    return fmt::format("the field {}, which is HTTP/1.1's: it is to be left out (section 8.2.2)",
                       shown(name));
  }
  if (ends_blank(value)) {
    return fmt::format("the field {} with a blank at an end of its value (section 8.2.1)",
                       shown(name));
  }
  if (!http::Fields::valid_value(value)) {
    return fmt::format("the field {} with a control character in its value (section 8.2.1)",
                       shown(name));
  }
  if (name == "content-length") {
    if (message.status / 100 == 1 || message.status == 204) {
      return fmt::format("a content-length with status {} (RFC 9110 section 8.6)", message.status);
    }
    if (!http::parse_content_length(value)) {
      return fmt::format("a content-length that is no number: {} (section 8.1.1)", shown(value));
    }
    return "more than one content-length (section 8.1.1)";
  }
  if (name == "host") return "a host that is none, or more than one (section 8.3.1)";
  // What nghttp2 tells of a value ends at a NUL.
  return fmt::format("the field {} with a value that HTTP has not (section 8.2.1)", shown(name));
}

std::string rule_of_request(const Http2Message& message) {
  const bool connect = message.method == "CONNECT";
  if (connect && message.protocol.empty()) {
    if (message.authority.empty()) return "a CONNECT without \":authority\" (section 8.5)";
    if (!message.scheme.empty()) return "a CONNECT with \":scheme\" (section 8.5)";
    if (!message.path.empty()) return "a CONNECT with \":path\" (section 8.5)";
  }
  if (message.method.empty()) return "a request without \":method\" (section 8.3.1)";
  if (!connect || !message.protocol.empty()) {
    if (message.scheme.empty()) return "a request without \":scheme\" (section 8.3.1)";
    if (message.path.empty()) return "a request without \":path\" (section 8.3.1)";
    if (message.authority.empty())
      return "a request without \":authority\" or host (section 8.3.1)";
  }
  if (!connect && !message.protocol.empty()) {
    return "\":protocol\" in a request that is no CONNECT (RFC 8441 section 4)";
  }
  if (message.path == "*" && message.method != "OPTIONS") {
    return "the path * in a request that is no OPTIONS (section 8.3.1)";
  }
  if (!message.path.empty() && !message.path.starts_with('/') && message.path != "*") {
    return "a path that does not begin with / (section 8.3.1)";
  }
  return {};
}

}  // namespace

std::string rule_of_line(const Http2Message& message, std::string_view name,
                         std::string_view value) {
  return name.starts_with(':') ? rule_of_pseudo(message, name, value)
                               : rule_of_field(message, name, value);
}

std::string rule_of_whole(const Http2Message& message) {
  if (message.part == Http2Message::Part::head) {
    if (message.request) {
      if (std::string rule = rule_of_request(message); !rule.empty()) return rule;
    } else if (message.status == 0) {
      return "a response without \":status\" (section 8.3.2)";
    } else if (message.status < 200) {
      return fmt::format("a body, or the end, behind an interim response ({}) (section 8.1)",
                         message.status);
    }
  }
  if (message.content_length >= 0) {
    return fmt::format("a body that is not as long as its content-length of {} (section 8.1.1)",
                       message.content_length);
  }
  if (message.part == Http2Message::Part::trailers)
    return "trailers without END_STREAM (section 8.1)";
  return "a malformed message (section 8.1.1)";
}

}  // namespace tern::fallback
