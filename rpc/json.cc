#include "rpc/json.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

namespace tern::rpc {

Result<std::string> to_json(const google::protobuf::Message& message) {
  std::string text;
  const auto written = google::protobuf::util::MessageToJsonString(message, &text);
  if (!written.ok()) return fail(Code::internal, written.message().ToString());
  return text;
}

Status from_json(std::string_view text, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  message.Clear();
  const auto read = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(text.data(), text.size()), &message, options);
  if (!read.ok()) return Status(Code::invalid_argument, read.message().ToString());
  return Status();
}

}  // namespace tern::rpc
