#pragma once

#include <string_view>

#include <google/protobuf/struct.pb.h>

/// Looks into JSON objects that have no message of their own. Private to the room.

namespace tern::rpc {

/// Null: there is no such member.
inline const google::protobuf::Value* member(const google::protobuf::Struct& object,
                                             const char* name) {
  const auto found = object.fields().find(name);
  return found != object.fields().end() ? &found->second : nullptr;
}

/// A string's text; empty for anything else.
inline std::string_view text_of(const google::protobuf::Value* value) noexcept {
  return value != nullptr && value->kind_case() == google::protobuf::Value::kStringValue
             ? value->string_value()
             : std::string_view();
}

}  // namespace tern::rpc
