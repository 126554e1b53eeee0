#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rpc/status.h"

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

/// Fields of a message named and set by text, as paths and queries of URLs do.

namespace tern::rpc {

/// From a message down to one of its fields: "book.author.name".
using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;

/// Names of a path; more are INVALID_ARGUMENT.
inline constexpr std::size_t kMaxFieldDepth = 32;

/// By the names in the .proto or by those of JSON. INVALID_ARGUMENT names the part that is missing,
/// or that is a repeated field or a scalar in the middle.
Result<FieldPath> find_field(const google::protobuf::Descriptor& message, std::string_view path);
/// "book.author.name" again.
std::string to_string(const FieldPath& path);

/// Whether one text can be its value: scalars, enums, and the well-known types whose JSON is a
/// string or a number (Timestamp, Duration, FieldMask, the wrappers).
bool has_text_form(const google::protobuf::FieldDescriptor& field) noexcept;

/// Sets the field, or adds to a repeated one. Numbers and names of enums as in proto3 JSON but
/// without quotes, bytes in base64 of either alphabet. INVALID_ARGUMENT: not a value of its type,
/// not UTF-8, or `has_text_form` is false.
Result<void> set_field(google::protobuf::Message& message, const FieldPath& path,
                       std::string_view text);
/// Whether the field, or another one of its oneof, is set.
bool is_taken(const google::protobuf::Message& message, const FieldPath& path);

}  // namespace tern::rpc
