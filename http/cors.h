#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "http/exchange.h"
#include "http/message.h"
#include "http/origin_policy.h"

namespace tern::http {

/// Cross-origin requests of browsers' pages (WHATWG Fetch §3.2, CORS): who may send them, and what
/// a page sees of the answer. Fluent; a value, shared by workers.
///
///   Cors cors = Cors().allow("https://app.example.org");
///   if (cors.answer_preflight(exchange)) co_return;
///   http::Response response(http::Status::ok);
///   cors.apply(exchange.request(), response.fields());
///
/// Without anything allowed pages of other origins get nothing: preflights 403, and no field that
/// would let them read. Requests that no page sends (without `origin`) are not CORS's affair.
class Cors {
 public:
  /// Pages of `origin` ("https://app.example.org").
  Cors& allow(std::string origin) & {
    origins_.allow(std::move(origin));
    return *this;
  }
  Cors&& allow(std::string origin) && { return std::move(allow(std::move(origin))); }
  /// Pages of every origin. Not together with `credentials`, which would hand a user's data to
  /// every page: then credentials are not let through (Fetch forbids the combination, too).
  Cors& allow_any() & {
    origins_.allow_any();
    any_ = true;
    return *this;
  }
  Cors&& allow_any() && { return std::move(allow_any()); }
  /// Requests may carry cookies and HTTP authentication. Default: they may not.
  Cors& credentials(bool let = true) & { return credentials_ = let, *this; }
  Cors&& credentials(bool let = true) && { return std::move(credentials(let)); }
  /// Methods beyond GET, HEAD and POST, comma-separated. Default: none.
  Cors& methods(std::string names) & { return methods_ = std::move(names), *this; }
  Cors&& methods(std::string names) && { return std::move(methods(std::move(names))); }
  /// How long a browser may remember the answer to a preflight. Default two hours (Chromium's
  /// most).
  Cors& max_age(Duration age) & { return max_age_ = age, *this; }
  Cors&& max_age(Duration age) && { return std::move(max_age(age)); }

  /// Answers an OPTIONS request that is a preflight (with `origin` and
  /// `access-control-request-method`): 204 with what is allowed, 403 for an origin that is not. The
  /// header lines the page wants to send are all allowed, as the origin is trusted or the request
  /// has no credentials. False: it is no preflight, and nothing was sent.
  bool answer_preflight(Exchange& exchange) const;

  /// Adds to a response's fields what lets the page read it: every line that is there is exposed,
  /// and those of `also`, comma-separated (trailers). To be called when the fields are complete.
  void apply(const RequestHead& request, Fields& response, std::string_view also = {}) const;

  /// Those that are allowed, for what CORS does not rule (WebSockets).
  const OriginPolicy& origins() const noexcept { return origins_; }

 private:
  /// The request's origin where it is allowed, else empty.
  std::string allowed_origin(const RequestHead& request) const;
  void add_origin(const std::string& origin, Fields& fields) const;

  OriginPolicy origins_;
  std::string methods_;
  Duration max_age_ = std::chrono::hours(2);
  bool any_ = false;
  bool credentials_ = false;
};

}  // namespace tern::http
