#include "http/message.h"

#include "http/structured_fields.h"

namespace tern::http {

std::string_view reason(Status status) noexcept {
  switch (code(status)) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return {};
  }
}

Priority Priority::parse(std::string_view field_value) noexcept {
  Priority priority;
  StructuredCursor cursor(field_value);
  while (const auto entry = cursor.next_entry()) {
    // The last of equal keys counts (RFC 8941 §3.2), also when it is out of range.
    if (entry->key == "u") {
      const bool known = entry->value.kind == BareItem::Kind::integer &&
                         entry->value.integer >= 0 && entry->value.integer <= 7;
      priority.urgency =
          known ? static_cast<std::uint8_t>(entry->value.integer) : Priority().urgency;
    } else if (entry->key == "i") {
      priority.incremental = entry->value.kind == BareItem::Kind::boolean && entry->value.boolean;
    }
  }
  return cursor.failed() ? Priority() : priority;
}

std::string Priority::to_string() const {
  std::string text;
  if (urgency != Priority().urgency) text = "u=" + std::to_string(urgency);
  if (incremental) text += text.empty() ? "i" : ", i";
  return text;
}

std::optional<std::uint64_t> parse_content_length(std::string_view value) noexcept {
  if (value.empty() || value.size() > 18) return std::nullopt;
  std::uint64_t length = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return std::nullopt;
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return length;
}

bool is_safe(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

bool is_idempotent(std::string_view method) noexcept {
  return is_safe(method) || method == "PUT" || method == "DELETE";
}

}  // namespace tern::http
