#pragma once

#include <string>
#include <string_view>

#include "rpc/status.h"

namespace google::protobuf {
class Message;
}

/// The proto3 JSON mapping (protobuf.dev/programming-guides/json).

namespace tern::rpc {

/// INTERNAL when the message has no JSON form, e.g. an Any of a type that is not linked in.
Result<std::string> to_json(const google::protobuf::Message& message);
/// Replaces `message`; unknown fields are passed over. INVALID_ARGUMENT when the text is no JSON,
/// or not of such a message.
Status from_json(std::string_view text, google::protobuf::Message& message);

}  // namespace tern::rpc
