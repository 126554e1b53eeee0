#include "http/broken_rule.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "http/escape.h"
#include "http/fields.h"
#include "http/message.h"

namespace tern::http {

namespace {

/// Of a name or value, what a line shows.
constexpr std::size_t kShown = 64;

std::string shown(std::string_view text) { return fmt::format("\"{}\"", escaped(text, kShown)); }

bool has_capitals(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool ends_blank(std::string_view text) noexcept {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  return !text.empty() && (blank(text.front()) || blank(text.back()));
}

/// One message's: sentences without the RFC that `sections` is of.
class Judge {
 public:
  Judge(const RuleSections& sections, const PartOfMessage& message)
      : sections_(sections), message_(message) {}

  std::string of_pseudo(std::string_view name, std::string_view value) const;
  std::string of_field(std::string_view name, std::string_view value) const;
  std::string of_length(std::string_view value) const;
  std::string of_request() const;
  std::string of_whole() const;

 private:
  /// "… (section 8.3)".
  static std::string in(std::string_view section, std::string_view text) {
    return fmt::format("{} (section {})", text, section);
  }

  const RuleSections& sections_;
  const PartOfMessage& message_;
};

std::string Judge::of_pseudo(std::string_view name, std::string_view value) const {
  if (message_.part == PartOfMessage::Part::trailers) {
    return in(sections_.in_trailers, shown(name) + " in trailers, which have fields alone");
  }
  struct Known {
    std::string_view name;
    bool seen;
  };
  const std::array<Known, 5> of_requests{{{":method", !message_.method.empty()},
                                          {":scheme", !message_.scheme.empty()},
                                          {":authority", !message_.authority.empty()},
                                          {":path", !message_.path.empty()},
                                          {":protocol", !message_.protocol.empty()}}};
  const std::array<Known, 1> of_responses{{{":status", message_.status != 0}}};
  const auto judge = [&](const auto& all) -> std::string {
    const auto known =
        std::find_if(all.begin(), all.end(), [name](const Known& one) { return one.name == name; });
    if (known == all.end()) {
      return in(sections_.pseudo, fmt::format("{}, which no {} has", shown(name),
                                              message_.request ? "request" : "response"));
    }
    if (message_.fields) {
      return in(sections_.pseudo, shown(name) + " behind a field that is no pseudo-header");
    }
    if (known->seen) return in(sections_.pseudo, shown(name) + " twice");
    if (name == ":protocol" && !message_.protocol_allowed) {
      return shown(name) + ", which our settings do not allow (RFC 8441 section 3)";
    }
    const std::string_view section = message_.request ? sections_.request : sections_.response;
    if (value.empty()) return in(section, shown(name) + " without a value");
    if (name == ":status" && value == "101") {
      return in(sections_.upgrade, "status 101, which is HTTP/1.1's");
    }
    if (name == ":authority" && value.find('@') != std::string_view::npos) {
      return "an authority with a user (RFC 9110 section 4.2.4)";
    }
    // A path or an authority may hold what is not for logs.
    const bool open = name == ":method" || name == ":scheme" || name == ":status";
    return in(section, fmt::format("{} with a value that is none{}{}", shown(name),
                                   open ? ": " : "", open ? shown(value) : ""));
  };
  return message_.request ? judge(of_requests) : judge(of_responses);
}

std::string Judge::of_field(std::string_view name, std::string_view value) const {
  if (name.empty()) return in(sections_.names, "a field without a name");
  if (has_capitals(name)) {
    return in(sections_.upper_case,
              fmt::format("the field name {}: they are in lower case", shown(name)));
  }
  if (!Fields::valid_name(name)) {
    return in(sections_.names, fmt::format("the field name {}, which is no token", shown(name)));
  }
  if (name == "te") {
    return in(sections_.connection_specific, shown(name) + " with anything but \"trailers\"");
  }
  if (Fields::connection_specific(name, value)) {
    return in(sections_.connection_specific,
              fmt::format("the field {}, which is HTTP/1.1's: it is to be left out", shown(name)));
  }
  if (ends_blank(value)) {
    return in(sections_.values,
              fmt::format("the field {} with a blank at an end of its value", shown(name)));
  }
  if (!Fields::valid_value(value)) {
    return in(sections_.values,
              fmt::format("the field {} with a control character in its value", shown(name)));
  }
  if (name == "content-length") return of_length(value);
  if (name == "host") {
    if (value.find('@') != std::string_view::npos) {
      return "an authority with a user (RFC 9110 section 4.2.4)";
    }
    return in(sections_.request, "a host that is none, or more than one");
  }
  // What nghttp2 tells of a value ends at a NUL.
  return in(sections_.values,
            fmt::format("the field {} with a value that HTTP has not", shown(name)));
}

std::string Judge::of_length(std::string_view value) const {
  if (message_.status / 100 == 1 || message_.status == 204) {
    return fmt::format("a content-length with status {} (RFC 9110 section 8.6)", message_.status);
  }
  if (!parse_content_length(value)) {
    return in(sections_.malformed,
              fmt::format("a content-length that is no number: {}", shown(value)));
  }
  return in(sections_.malformed, "more than one content-length");
}

std::string Judge::of_request() const {
  const bool connect = message_.method == "CONNECT";
  const bool plain_connect = connect && message_.protocol.empty();
  if (plain_connect) {
    if (!message_.scheme.empty()) return in(sections_.connect, "a CONNECT with \":scheme\"");
    if (!message_.path.empty()) return in(sections_.connect, "a CONNECT with \":path\"");
    return in(sections_.connect, "a CONNECT without \":authority\"");
  }
  const auto missing = [this](std::string_view what) {
    return in(sections_.request, fmt::format("a request without {}", what));
  };
  if (message_.method.empty()) return missing("\":method\"");
  if (message_.scheme.empty()) return missing("\":scheme\"");
  if (message_.path.empty()) return missing("\":path\"");
  if (message_.authority.empty()) return missing("\":authority\" or host");
  if (!connect && !message_.protocol.empty()) {
    return "\":protocol\" in a request that is no CONNECT (RFC 8441 section 4)";
  }
  if (message_.path == "*" && message_.method != "OPTIONS") {
    return in(sections_.request, "the path * in a request that is no OPTIONS");
  }
  if (!message_.path.starts_with('/') && message_.path != "*") {
    return in(sections_.request, "a path that does not begin with /");
  }
  // Its authority is a host's.
  if (connect) return "an extended CONNECT without \":authority\" (RFC 8441 section 4)";
  return {};
}

std::string Judge::of_whole() const {
  using Part = PartOfMessage::Part;
  if (message_.part == Part::head) {
    if (message_.request) {
      if (std::string rule = of_request(); !rule.empty()) return rule;
    } else if (message_.status == 0) {
      return in(sections_.response, "a response without \":status\"");
    } else if (message_.status < 200) {
      return in(
          sections_.framing,
          fmt::format("a body, or the end, behind an interim response ({})", message_.status));
    }
  }
  if (message_.content_length >= 0) {
    return in(sections_.malformed,
              fmt::format("a body that is not as long as its content-length of {}",
                          message_.content_length));
  }
  if (message_.part == Part::trailers) return in(sections_.framing, "trailers without END_STREAM");
  return in(sections_.malformed, "a malformed message");
}

}  // namespace

std::string rule_of_line(const RuleSections& sections, const PartOfMessage& message,
                         std::string_view name, std::string_view value) {
  const Judge judge(sections, message);
  return fmt::format(
      "{}: {}", sections.rfc,
      name.starts_with(':') ? judge.of_pseudo(name, value) : judge.of_field(name, value));
}

std::string rule_of_whole(const RuleSections& sections, const PartOfMessage& message) {
  return fmt::format("{}: {}", sections.rfc, Judge(sections, message).of_whole());
}

}  // namespace tern::http
