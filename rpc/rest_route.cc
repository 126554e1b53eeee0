#include "rpc/rest_route.h"

#include <algorithm>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "google/api/annotations.pb.h"
#include "http/escape.h"
#include "http/fields.h"
#include "rpc/http_body.h"
#include "rpc/query.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

bool is_http_body(const pb::Descriptor& type) { return type.full_name() == "google.api.HttpBody"; }

bool is_http_body(const pb::FieldDescriptor& field) {
  return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && !field.is_repeated() &&
         is_http_body(*field.message_type());
}

// ---- from the option ----------------------------------------------------------------------------

/// The option as the generated pool knows it. A method of another pool (reflection, a schema file)
/// has it among its unknown fields; written and read again it is a known one.
bool find_rule(const pb::MethodDescriptor& method, google::api::HttpRule& rule) {
  pb::MethodOptions options;
  if (!options.ParseFromString(method.options().SerializeAsString())) return false;
  if (!options.HasExtension(google::api::http)) return false;
  rule = options.GetExtension(google::api::http);
  return true;
}

class RouteMaker {
 public:
  RouteMaker(const pb::MethodDescriptor& method, const google::api::HttpRule& rule) noexcept
      : method_(method), rule_(rule) {}

  tern::Result<RestRoute> make() {
    RestRoute route;
    route.method = &method_;
    std::string text;
    if (auto read = pattern(route.http_method, text); !read) return tern::fail(read.error());
    auto path = PathTemplate::parse(text);
    if (!path) return wrong(path.error().detail);
    route.path = std::move(*path);
    for (const PathTemplate::Variable& variable : route.path.variables()) {
      auto field = find_field(*method_.input_type(), variable.field_path);
      if (!field) return wrong(field.error().message());
      if (field->back()->is_repeated() || !has_text_form(*field->back())) {
        return wrong("field " + variable.field_path + " cannot be in a path");
      }
      route.variables.push_back(std::move(*field));
    }
    if (auto set = bodies(route); !set) return tern::fail(set.error());
    return route;
  }

 private:
  tl::unexpected<Error> wrong(std::string_view what) const {
    return tern::fail(
        Error::invalid("google.api.http of " + method_.full_name() + ": " + std::string(what)));
  }

  tern::Result<void> pattern(std::string& http_method, std::string& path) const {
    using Rule = google::api::HttpRule;
    switch (rule_.pattern_case()) {
      case Rule::kGet:
        http_method = "GET";
        path = rule_.get();
        return {};
      case Rule::kPut:
        http_method = "PUT";
        path = rule_.put();
        return {};
      case Rule::kPost:
        http_method = "POST";
        path = rule_.post();
        return {};
      case Rule::kDelete:
        http_method = "DELETE";
        path = rule_.delete_();
        return {};
      case Rule::kPatch:
        http_method = "PATCH";
        path = rule_.patch();
        return {};
      case Rule::kCustom:
        http_method = rule_.custom().kind();
        path = rule_.custom().path();
        // Methods are case-sensitive tokens (RFC 9110 §9.1); CONNECT has no path to match.
        if (http_method == "CONNECT" ||
            (http_method != "*" && !std::all_of(http_method.begin(), http_method.end(), [](char c) {
               return (c >= 'A' && c <= 'Z') || c == '-';
             }))) {
          return wrong("\"" + http_method + "\" is no method for a path");
        }
        if (http_method.empty()) return wrong("a custom pattern without a kind");
        return {};
      case Rule::PATTERN_NOT_SET: break;
    }
    return wrong("no pattern");
  }

  tern::Result<void> bodies(RestRoute& route) const {
    const pb::Descriptor& request = *method_.input_type();
    const pb::Descriptor& response = *method_.output_type();
    if (rule_.body() == "*") {
      route.body = RestRoute::Body::whole;
      route.raw_request = is_http_body(request);
    } else if (!rule_.body().empty()) {
      route.body = RestRoute::Body::field;
      route.body_field = request.FindFieldByName(rule_.body());
      if (route.body_field == nullptr) return wrong("there is no field " + rule_.body());
      route.raw_request = is_http_body(*route.body_field);
    }
    route.raw_response = is_http_body(response);
    if (!rule_.response_body().empty()) {
      route.response_field = response.FindFieldByName(rule_.response_body());
      if (route.response_field == nullptr) return wrong("no field " + rule_.response_body());
      route.raw_response = is_http_body(*route.response_field);
    }
    return {};
  }

  const pb::MethodDescriptor& method_;
  const google::api::HttpRule& rule_;
};

// ---- requests -----------------------------------------------------------------------------------

bool is_prefix(const FieldPath& prefix, const FieldPath& path) noexcept {
  return prefix.size() <= path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

class Binder {
 public:
  Binder(const RestRoute& route, const RestRequest& from, pb::Message& request,
         const RestOptions& options) noexcept
      : route_(route), from_(from), request_(request), options_(options) {}

  Result<void> run() {
    request_.Clear();
    if (auto done = body(); !done) return done;
    for (std::size_t i = 0; i < route_.variables.size(); ++i) {
      if (auto done = set_field(request_, route_.variables[i], from_.values[i]); !done) return done;
    }
    return query();
  }

 private:
  static Result<void> checked(Status status) {
    if (!status.ok()) return fail(std::move(status));
    return {};
  }
  Result<void> body() {
    if (route_.body == RestRoute::Body::none || (from_.body.empty() && !route_.raw_request)) {
      return {};
    }
    if (route_.raw_request) return raw_body();
    if (route_.body == RestRoute::Body::whole) {
      return checked(from_json(from_.body, request_, options_.json()));
    }
    return checked(field_from_json(from_.body, request_, *route_.body_field, options_.json()));
  }

  Result<void> raw_body() {
    pb::Message* body = &request_;
    if (route_.body_field != nullptr) {
      body = request_.GetReflection()->MutableMessage(body, route_.body_field);
    }
    const pb::Descriptor& type = *body->GetDescriptor();
    const pb::Reflection& reflection = *body->GetReflection();
    reflection.SetString(body, type.FindFieldByNumber(http_body::kContentType),
                         std::string(from_.content_type));
    reflection.SetString(body, type.FindFieldByNumber(http_body::kData), std::string(from_.body));
    return {};
  }

  Result<void> query() {
    QueryReader reader(from_.query);
    while (reader.next()) {
      auto path = find_field(*request_.GetDescriptor(), reader.name());
      if (!path) {
        if (options_.ignores_unknown_parameters()) continue;
        return fail(std::move(path).error());
      }
      if (auto done = parameter(*path, reader.value()); !done) return done;
    }
    if (reader.failed()) return fail(Code::invalid_argument, "the query cannot be decoded");
    return {};
  }

  Result<void> parameter(const FieldPath& path, std::string_view value) {
    const auto overlaps = [&](const FieldPath& bound) {
      return is_prefix(bound, path) || is_prefix(path, bound);
    };
    const auto elsewhere = [&](std::string_view place) {
      return fail(Code::invalid_argument, "field " + to_string(path) + " is in the " +
                                              std::string(place) + " and in the query");
    };
    if (std::any_of(route_.variables.begin(), route_.variables.end(), overlaps)) {
      return elsewhere("path");
    }
    if (route_.body == RestRoute::Body::whole ||
        (route_.body_field != nullptr && path.front() == route_.body_field)) {
      return elsewhere("body");
    }
    if (!path.back()->is_repeated()) {
      if (is_taken(request_, path) || std::find(seen_.begin(), seen_.end(), path) != seen_.end()) {
        return fail(Code::invalid_argument,
                    "field " + to_string(path) + ", or another of its oneof, is there twice");
      }
      seen_.push_back(path);
    }
    return set_field(request_, path, value);
  }

  const RestRoute& route_;
  const RestRequest& from_;
  pb::Message& request_;
  const RestOptions& options_;
  std::vector<FieldPath> seen_;
};

}  // namespace

tern::Result<std::vector<RestRoute>> rest_routes(const pb::MethodDescriptor& method) {
  std::vector<RestRoute> routes;
  google::api::HttpRule rule;
  if (!find_rule(method, rule)) return routes;
  TERN_TRY(RestRoute first, RouteMaker(method, rule).make());
  routes.push_back(std::move(first));
  for (const google::api::HttpRule& more : rule.additional_bindings()) {
    if (more.additional_bindings_size() > 0) {
      return tern::fail(Error::invalid("google.api.http of " + method.full_name() +
                                       ": additional bindings have none of their own"));
    }
    TERN_TRY(RestRoute next, RouteMaker(method, more).make());
    routes.push_back(std::move(next));
  }
  return routes;
}

Result<void> bind(const RestRoute& route, const RestRequest& from, pb::Message& request,
                  const RestOptions& options) {
  return Binder(route, from, request, options).run();
}

Result<RestBody> answer(const RestRoute& route, const pb::Message& response,
                        const RestOptions& options) {
  RestBody body;
  if (route.raw_response) {
    const pb::Message& raw = route.response_field != nullptr ? response.GetReflection()->GetMessage(
                                                                   response, route.response_field)
                                                             : response;
    const pb::Descriptor& type = *raw.GetDescriptor();
    const pb::Reflection& reflection = *raw.GetReflection();
    body.content_type = reflection.GetString(raw, type.FindFieldByNumber(http_body::kContentType));
    body.bytes = reflection.GetString(raw, type.FindFieldByNumber(http_body::kData));
    if (body.content_type.empty() || !http::Fields::valid_value(body.content_type)) {
      body.content_type = "application/octet-stream";
    }
    return body;
  }
  auto json = route.response_field != nullptr
                  ? field_to_json(response, *route.response_field, options.json())
                  : to_json(response, options.json());
  if (!json) return fail(std::move(json).error());
  body.content_type = "application/json";
  body.bytes = std::move(*json);
  return body;
}

}  // namespace tern::rpc
