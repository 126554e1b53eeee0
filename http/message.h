#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "http/fields.h"

namespace tern::http {

/// Status codes with names that read well; any three-digit number may be cast to it.
enum class Status : std::uint16_t {
  continue_ = 100,
  switching_protocols = 101,
  early_hints = 103,
  ok = 200,
  created = 201,
  accepted = 202,
  no_content = 204,
  partial_content = 206,
  moved_permanently = 301,
  found = 302,
  see_other = 303,
  not_modified = 304,
  temporary_redirect = 307,
  permanent_redirect = 308,
  bad_request = 400,
  unauthorized = 401,
  forbidden = 403,
  not_found = 404,
  method_not_allowed = 405,
  request_timeout = 408,
  conflict = 409,
  length_required = 411,
  precondition_failed = 412,
  content_too_large = 413,
  uri_too_long = 414,
  unsupported_media_type = 415,
  range_not_satisfiable = 416,
  misdirected_request = 421,
  too_early = 425,
  upgrade_required = 426,
  too_many_requests = 429,
  header_fields_too_large = 431,
  internal_server_error = 500,
  not_implemented = 501,
  bad_gateway = 502,
  service_unavailable = 503,
  gateway_timeout = 504,
};

inline int code(Status status) noexcept { return static_cast<int>(status); }
/// "Not Found"; empty for a code without a registered name.
std::string_view reason(Status status) noexcept;

/// RFC 9218. Lower urgency is more urgent.
struct Priority {
  std::uint8_t urgency = 3;
  bool incremental = false;
  friend bool operator==(const Priority&, const Priority&) = default;
  /// Reads a `priority` field value; what it does not understand keeps the default.
  static Priority parse(std::string_view field_value) noexcept;
  /// "u=1, i"; empty for the default.
  std::string to_string() const;
};

/// The head of a request. `path` holds path and query as they were sent. For CONNECT, scheme and
/// path are empty unless `protocol` is set (extended CONNECT, RFC 9220).
struct RequestHead {
  std::string method = "GET";
  std::string scheme = "https";
  std::string authority;
  std::string path = "/";
  std::string protocol;
  Fields fields;
  /// Path without its query; a view into `path`.
  std::string_view path_only() const noexcept {
    return std::string_view(path).substr(0, path.find('?'));
  }
  /// Query without the '?', empty if none.
  std::string_view query() const noexcept {
    const auto mark = path.find('?');
    return mark == std::string::npos ? std::string_view() : std::string_view(path).substr(mark + 1);
  }
};

/// A response's head, with a body if all of it is at hand. Fluent, so that it can be written inside
/// a `co_await` expression (gcc 12 miscompiles braced temporaries there).
class Response {
 public:
  Response() = default;
  explicit Response(Status status) : status_(status) {}

  Response& field(std::string_view name, std::string_view value) & {
    fields_.add(name, value);
    return *this;
  }
  Response&& field(std::string_view name, std::string_view value) && {
    fields_.add(name, value);
    return std::move(*this);
  }
  Response& body(Bytes bytes) & {
    body_ = std::move(bytes);
    return *this;
  }
  Response&& body(Bytes bytes) && {
    body_ = std::move(bytes);
    return std::move(*this);
  }
  /// A body of plain text.
  Response& text(std::string text) & {
    body_ = Bytes::take(std::move(text));
    return field("content-type", "text/plain; charset=utf-8");
  }
  Response&& text(std::string text) && {
    body_ = Bytes::take(std::move(text));
    return std::move(*this).field("content-type", "text/plain; charset=utf-8");
  }
  /// Replaces every field line.
  Response& fields(Fields fields) & {
    fields_ = std::move(fields);
    return *this;
  }

  Status status() const noexcept { return status_; }
  void set_status(Status status) noexcept { status_ = status; }
  const Fields& fields() const noexcept { return fields_; }
  Fields& fields() noexcept { return fields_; }
  const Bytes& body() const noexcept { return body_; }

 private:
  Status status_ = Status::ok;
  Fields fields_;
  Bytes body_;
};

/// A content-length value: digits alone, at most 18. Nothing for anything else.
std::optional<std::uint64_t> parse_content_length(std::string_view value) noexcept;

/// GET, HEAD, OPTIONS, TRACE (RFC 9110 §9.2.1): what may run from early data (RFC 8470).
bool is_safe(std::string_view method) noexcept;
/// The safe ones, PUT and DELETE (§9.2.2): what may be sent again.
bool is_idempotent(std::string_view method) noexcept;

}  // namespace tern::http
