#include "http/cors.h"

#include <algorithm>
#include <array>

namespace tern::http {

namespace {

/// Lines that a page may read anyway (Fetch's CORS-safelisted response-header names), that a
/// browser hides always, and CORS's own.
bool needs_exposure(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 11> kNot = {
      "cache-control", "content-language", "content-length", "content-type", "expires",
      "last-modified", "pragma",           "set-cookie",     "set-cookie2",  "vary",
      "alt-svc"};
  return std::find(kNot.begin(), kNot.end(), name) == kNot.end() &&
         !name.starts_with("access-control-");
}

bool lists(std::string_view list, std::string_view name) noexcept {
  for (std::size_t at = list.find(name); at != std::string_view::npos;
       at = list.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    const bool begins = at == 0 || list[at - 1] == ' ' || list[at - 1] == ',';
    if (begins && (end == list.size() || list[end] == ',')) return true;
  }
  return false;
}

void append_name(std::string& list, std::string_view name) {
  if (lists(list, name)) return;
  if (!list.empty()) list.append(", ");
  list.append(name);
}

}  // namespace

std::string Cors::allowed_origin(const RequestHead& request) const {
  auto origin = request.fields.joined("origin");
  if (!origin || !origins_.allows(*origin, request)) return {};
  return std::move(*origin);
}

void Cors::add_origin(const std::string& origin, Fields& fields) const {
  if (any_) {
    fields.add_lower("access-control-allow-origin", "*");
    return;
  }
  fields.add_lower("access-control-allow-origin", origin);
  if (credentials_) fields.add_lower("access-control-allow-credentials", "true");
}

bool Cors::answer_preflight(Exchange& exchange) const {
  const RequestHead& request = exchange.request();
  if (request.method != "OPTIONS" || !request.fields.contains("origin") ||
      !request.fields.contains("access-control-request-method")) {
    return false;
  }
  const std::string origin = allowed_origin(request);
  Response response(origin.empty() ? Status::forbidden : Status::no_content);
  response.field("vary", "origin, access-control-request-method, access-control-request-headers");
  if (!origin.empty()) {
    add_origin(origin, response.fields());
    std::string methods = "GET, HEAD, POST";
    if (!methods_.empty()) methods.append(", ").append(methods_);
    response.field("access-control-allow-methods", methods);
    if (const auto wanted = request.fields.joined("access-control-request-headers")) {
      response.field("access-control-allow-headers", *wanted);
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(max_age_).count();
    response.field("access-control-max-age", std::to_string(seconds));
  }
  (void)exchange.respond(std::move(response));
  return true;
}

void Cors::apply(const RequestHead& request, Fields& response, std::string_view also) const {
  // What the answer depends on has to be said to every cache, whoever asks.
  if (!any_) response.add_lower("vary", "origin");
  const std::string origin = allowed_origin(request);
  if (origin.empty()) return;
  std::string exposed;
  for (const Field field : response) {
    if (needs_exposure(field.name)) append_name(exposed, field.name);
  }
  if (!also.empty()) {
    if (!exposed.empty()) exposed.append(", ");
    exposed.append(also);
  }
  add_origin(origin, response);
  if (!exposed.empty()) response.add_lower("access-control-expose-headers", exposed);
}

}  // namespace tern::http
