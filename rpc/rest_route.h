#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "rpc/field_path.h"
#include "rpc/json.h"
#include "rpc/path_template.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
class MethodDescriptor;
}  // namespace google::protobuf

/// google.api.http: what of an HTTP request goes where in a method's request message, and what of
/// its response message is the HTTP response. Sans-IO; the adapter (server_rest.h) does the rest.

namespace tern::rpc {

/// What a request may leave out or bring too much of. Fluent.
class RestOptions {
 public:
  /// How bodies are read and written.
  RestOptions& json(JsonOptions options) noexcept { return json_ = options, *this; }
  const JsonOptions& json() const noexcept { return json_; }
  /// Query parameters that are no field's are skipped. Default false: INVALID_ARGUMENT, as a
  /// misspelt filter would otherwise find everything.
  RestOptions& ignore_unknown_parameters(bool ignore = true) noexcept {
    return ignore_unknown_parameters_ = ignore, *this;
  }
  bool ignores_unknown_parameters() const noexcept { return ignore_unknown_parameters_; }

 private:
  JsonOptions json_;
  bool ignore_unknown_parameters_ = false;
};

/// One way to reach a method. Refers to its descriptor, which outlives it.
struct RestRoute {
  enum class Body : std::uint8_t { none, whole, field };

  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string http_method;
  PathTemplate path;
  std::vector<FieldPath> variables;  ///< in the order of `path.variables()`
  Body body = Body::none;
  const google::protobuf::FieldDescriptor* body_field = nullptr;
  /// Null: the whole response.
  const google::protobuf::FieldDescriptor* response_field = nullptr;
  /// A google.api.HttpBody: bytes of any type instead of JSON.
  bool raw_request = false;
  bool raw_response = false;
};

/// The ways that a method's `(google.api.http)` option names, its additional bindings after it;
/// none without the option. Error invalid says what of it cannot be: a field that the message does
/// not have, a repeated one in a path, a template that breaks the grammar.
tern::Result<std::vector<RestRoute>> rest_routes(const google::protobuf::MethodDescriptor& method);

/// An HTTP request's parts, as the adapter has them.
struct RestRequest {
  const std::vector<std::string>& values;  ///< PathTable::Match::values
  std::string_view query;
  std::string_view content_type;
  std::string_view body;  ///< decompressed; empty stands for an empty message
};

/// Fills `request` (which it clears): the body first, then the path, which has the last word, then
/// the query. INVALID_ARGUMENT for a parameter of the query that is a field of path or body or is
/// there twice, and for whatever cannot be parsed.
Result<void> bind(const RestRoute& route, const RestRequest& from,
                  google::protobuf::Message& request, const RestOptions& options = RestOptions());

struct RestBody {
  std::string content_type;
  std::string bytes;
};
/// What one response message is as a body.
Result<RestBody> answer(const RestRoute& route, const google::protobuf::Message& response,
                        const RestOptions& options = RestOptions());

}  // namespace tern::rpc
