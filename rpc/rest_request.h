#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rpc/rest_route.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
}

/// google.api.http from the client's side: the HTTP request that a request message is, and the
/// message, or the status, that an HTTP response is. The inverse of `bind` and `answer`. Sans-IO.

namespace tern::rpc {

/// An HTTP request's parts. A value.
struct RestCall {
  std::string method;        ///< "GET"
  std::string target;        ///< path and query, percent-encoded: "/v1/books/a%20b?page=3"
  std::string content_type;  ///< empty: there is no body
  std::string body;
};

/// The request as this route has it: the path's fields in the path, the body's in the body, and
/// whatever else is set in the query. INVALID_ARGUMENT for what the route cannot carry: a field of
/// the path that is not set or does not match its template, and outside of the body maps, repeated
/// messages, set but empty ones, more than QueryReader::kMaxParameters values.
Result<RestCall> rest_call(const RestRoute& route, const google::protobuf::Message& request);
/// By the first of a method's routes that can carry it (`rest_routes` gives them); the first one's
/// error if none can. Not by HEAD, which answers nothing. `chosen` is set to the route's place.
Result<RestCall> rest_call(const std::vector<RestRoute>& routes,
                           const google::protobuf::Message& request, std::size_t& chosen);

/// Replaces `response` by what a body says. An empty one stands for an empty message. INTERNAL when
/// it cannot be read.
Status read_answer(const RestRoute& route, std::string_view content_type, std::string_view body,
                   google::protobuf::Message& response);

/// A google.rpc.Status in JSON, also as the member "error" of an object (Google's APIs, the last
/// line of a stream). `otherwise`, which is not OK, is the code where there is none that is known.
/// Details of types that the program does not know are kept if they are in base64 as `rest_error`
/// writes them, else passed over.
Status parse_rest_error(std::string_view json, Code otherwise);

}  // namespace tern::rpc
