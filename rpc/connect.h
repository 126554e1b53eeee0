#pragma once

#include <string>
#include <string_view>

#include "http/content_coding.h"
#include "rpc/codec.h"
#include "rpc/metadata.h"
#include "rpc/status.h"

/// What the Connect protocol writes besides messages: errors, the ends of streams, and the query of
/// a GET (connectrpc.com/docs/protocol). Sans-IO, for both sides.

namespace tern::rpc {

/// Of a stream's content type; the codec follows.
constexpr std::string_view kConnectStreamPrefix = "application/connect+";

/// {"code":"not_found","message":"…","details":[{"type":"…","value":"…"}]}, with a "debug" where
/// the detail's type is linked into the program.
std::string connect_error(const Status& status);

/// The other way. `otherwise` is the code where there is no error in the text, or one without a
/// code that is known. What else is in there is passed over; so are details that cannot be read.
Status parse_connect_error(std::string_view json, Code otherwise);

/// A response stream's last envelope: {"error":{…},"metadata":{"key":["value"]}}.
struct ConnectEnd {
  Status status;
  Metadata trailers;
};
std::string connect_end(const Status& status, const Metadata& trailers);
/// INTERNAL when it is no such object. An error without a code that is known is UNKNOWN.
Result<ConnectEnd> parse_connect_end(std::string_view json);

/// A unary call as a GET: ?connect=v1&encoding=json&message=…
struct ConnectQuery {
  Codec codec = Codec::proto;
  http::Coding coding = http::Coding::identity;
  std::string message;     ///< still compressed
  bool versioned = false;  ///< connect=v1 is there
};
/// INVALID_ARGUMENT for what is missing, there twice or cannot be decoded; UNIMPLEMENTED for a
/// coding, INVALID_ARGUMENT for a codec or a version that we do not know. Other parameters are
/// passed over.
Result<ConnectQuery> parse_connect_query(std::string_view query);
/// Without the '?'. In base64 unless it is JSON that is not compressed.
std::string to_string(const ConnectQuery& query);

}  // namespace tern::rpc
