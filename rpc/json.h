#pragma once

#include <string>
#include <string_view>

#include "rpc/status.h"

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

/// The proto3 JSON mapping, by protobuf's own json_util.

namespace tern::rpc {

/// How messages become JSON and JSON messages. Fluent.
class JsonOptions {
 public:
  /// Fields that the message does not have are skipped, so that a newer client can talk to an older
  /// server. Default true; otherwise they are INVALID_ARGUMENT.
  JsonOptions& ignore_unknown(bool ignore = true) noexcept {
    return ignore_unknown_ = ignore, *this;
  }
  bool ignores_unknown() const noexcept { return ignore_unknown_; }
  /// Fields at their default are written, too. Default false.
  JsonOptions& defaults(bool write = true) noexcept { return defaults_ = write, *this; }
  bool writes_defaults() const noexcept { return defaults_; }
  /// Over several lines, for people. Default false.
  JsonOptions& indented(bool write = true) noexcept { return indented_ = write, *this; }
  bool writes_indented() const noexcept { return indented_; }

 private:
  bool ignore_unknown_ = true;
  bool defaults_ = false;
  bool indented_ = false;
};

/// INTERNAL when the message has no JSON form: an Any of a type that is not linked in, a Timestamp
/// out of its range.
Result<std::string> to_json(const google::protobuf::Message& message,
                            JsonOptions options = JsonOptions());
/// Replaces `message`. INVALID_ARGUMENT names what is wrong; `message` is then unspecified.
Status from_json(std::string_view json, google::protobuf::Message& message,
                 JsonOptions options = JsonOptions());

/// The JSON of one field's value, of whatever type: an array for a repeated field.
Result<std::string> field_to_json(const google::protobuf::Message& message,
                                  const google::protobuf::FieldDescriptor& field,
                                  JsonOptions options = JsonOptions());
/// Sets that field of `message` and clears all others.
Status field_from_json(std::string_view json, google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field,
                       JsonOptions options = JsonOptions());

}  // namespace tern::rpc
