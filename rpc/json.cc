#include "rpc/json.h"

#include <memory>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "http/escape.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

/// One line of what protobuf says over several, with the text itself in it.
Status described(Code code, const auto& status) {
  const std::string text(status.message());
  return Status(code, "JSON: " + http::escaped(text.substr(0, text.find('\n')), 200));
}

/// The value that a field of implicit presence has when it is not written.
std::string default_of(const pb::FieldDescriptor& field) {
  if (field.is_map()) return "{}";
  if (field.is_repeated()) return "[]";
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE: return "null";
    case pb::FieldDescriptor::CPPTYPE_BOOL: return "false";
    case pb::FieldDescriptor::CPPTYPE_STRING: return "\"\"";
    case pb::FieldDescriptor::CPPTYPE_ENUM: return '"' + field.default_value_enum()->name() + '"';
    case pb::FieldDescriptor::CPPTYPE_INT64:
    case pb::FieldDescriptor::CPPTYPE_UINT64: return "\"0\"";
    default: return "0";
  }
}

bool is_whole_message(const pb::FieldDescriptor& field) noexcept {
  return !field.is_repeated() && field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
}

}  // namespace

Result<std::string> to_json(const pb::Message& message, JsonOptions options) {
  pb::util::JsonPrintOptions print;
  print.always_print_primitive_fields = options.writes_defaults();
  print.add_whitespace = options.writes_indented();
  std::string out;
  const auto status = pb::util::MessageToJsonString(message, &out, print);
  if (!status.ok()) return fail(described(Code::internal, status));
  return out;
}

Status from_json(std::string_view json, pb::Message& message, JsonOptions options) {
  pb::util::JsonParseOptions parse;
  parse.ignore_unknown_fields = options.ignores_unknown();
  message.Clear();
  const auto status =
      pb::util::JsonStringToMessage(pb::StringPiece(json.data(), json.size()), &message, parse);
  if (!status.ok()) return described(Code::invalid_argument, status);
  return Status();
}

Result<std::string> field_to_json(const pb::Message& message, const pb::FieldDescriptor& field,
                                  JsonOptions options) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool present = field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                                           : reflection.HasField(message, &field);
  if (!present) return default_of(field);
  if (is_whole_message(field)) return to_json(reflection.GetMessage(message, &field), options);
  // Anything else has no JSON by itself: {"name":VALUE} of a message that has this field alone.
  const std::unique_ptr<pb::Message> alone(message.New());
  alone->CopyFrom(message);
  std::vector<const pb::FieldDescriptor*> set;
  reflection.ListFields(*alone, &set);
  for (const pb::FieldDescriptor* other : set) {
    if (other != &field) reflection.ClearField(alone.get(), other);
  }
  auto json = to_json(*alone, JsonOptions());
  if (!json) return json;
  const std::size_t around = field.json_name().size() + 4;  // {"":
  return json->substr(around, json->size() - around - 1);
}

Status field_from_json(std::string_view json, pb::Message& message,
                       const pb::FieldDescriptor& field, JsonOptions options) {
  if (is_whole_message(field)) {
    message.Clear();
    return from_json(json, *message.GetReflection()->MutableMessage(&message, &field), options);
  }
  // To be put into {"name":VALUE} it must be one value, and not the beginning of other fields.
  pb::Value one;
  if (Status good = from_json(json, one); !good.ok()) return good;
  std::string wrapped = "{\"" + field.json_name() + "\":";
  wrapped.append(json).push_back('}');
  return from_json(wrapped, message, options);
}

}  // namespace tern::rpc
