#include "rpc/field_path.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "http/escape.h"
#include "http/utf8.h"
#include "rpc/json.h"
#include "rpc/metadata.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

const pb::FieldDescriptor* field_named(const pb::Descriptor& message, std::string_view name) {
  const std::string text(name);
  if (const pb::FieldDescriptor* field = message.FindFieldByName(text)) return field;
  // By JSON name: FindFieldByCamelcaseName would not see a json_name of its own.
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->json_name() == text) return message.field(i);
  }
  return nullptr;
}

tl::unexpected<Status> wrong(const pb::FieldDescriptor& field, std::string_view text,
                             std::string_view what) {
  return fail(Code::invalid_argument, "\"" + http::escaped(text, 64) + "\" is no value of " +
                                          field.name() + ": not " + std::string(what));
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) noexcept {
  if constexpr (std::is_floating_point_v<Number>) {
    using Limits = std::numeric_limits<Number>;
    if (text == "NaN") return Limits::quiet_NaN();
    if (text == "Infinity") return Limits::infinity();
    if (text == "-Infinity") return -Limits::infinity();
    // from_chars knows "inf" and "nan" as well, which JSON does not.
    const std::size_t digits = text.starts_with('-') ? 1 : 0;
    if (digits >= text.size() || text[digits] < '0' || text[digits] > '9') return std::nullopt;
  }
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// How a well-known type is written as JSON; nothing: it has no text form.
enum class Form : std::uint8_t { none, quoted, bare };

Form form_of(const pb::Descriptor& type) noexcept {
  switch (type.well_known_type()) {
    case pb::Descriptor::WELLKNOWNTYPE_TIMESTAMP:
    case pb::Descriptor::WELLKNOWNTYPE_DURATION:
    case pb::Descriptor::WELLKNOWNTYPE_FIELDMASK:
    case pb::Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_FLOATVALUE: return Form::quoted;
    case pb::Descriptor::WELLKNOWNTYPE_BOOLVALUE: return Form::bare;
    default: return Form::none;
  }
}

class Setter {
 public:
  Setter(pb::Message& message, const pb::FieldDescriptor& field) noexcept
      : message_(message), reflection_(*message.GetReflection()), field_(field) {}

  Result<void> assign(std::string_view text) {
    switch (field_.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        return number<std::int32_t>(text, &pb::Reflection::SetInt32, &pb::Reflection::AddInt32);
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return number<std::int64_t>(text, &pb::Reflection::SetInt64, &pb::Reflection::AddInt64);
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        return number<std::uint32_t>(text, &pb::Reflection::SetUInt32, &pb::Reflection::AddUInt32);
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        return number<std::uint64_t>(text, &pb::Reflection::SetUInt64, &pb::Reflection::AddUInt64);
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        return number<float>(text, &pb::Reflection::SetFloat, &pb::Reflection::AddFloat);
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        return number<double>(text, &pb::Reflection::SetDouble, &pb::Reflection::AddDouble);
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return wrong(field_, text, "true or false");
        put(text == "true", &pb::Reflection::SetBool, &pb::Reflection::AddBool);
        return {};
      case pb::FieldDescriptor::CPPTYPE_ENUM: return enumerator(text);
      case pb::FieldDescriptor::CPPTYPE_STRING: return string(text);
      case pb::FieldDescriptor::CPPTYPE_MESSAGE: return well_known(text);
    }
    return wrong(field_, text, "a type of its own");
  }

 private:
  template <typename Value, typename Set, typename Add>
  void put(Value value, Set set, Add add) {
    if (field_.is_repeated()) {
      (reflection_.*add)(&message_, &field_, value);
    } else {
      (reflection_.*set)(&message_, &field_, value);
    }
  }
  template <typename Number, typename Set, typename Add>
  Result<void> number(std::string_view text, Set set, Add add) {
    const std::optional<Number> value = number_of<Number>(text);
    if (!value) return wrong(field_, text, std::string("a number (") + field_.type_name() + ")");
    put(*value, set, add);
    return {};
  }
  Result<void> enumerator(std::string_view text) {
    const auto* named = field_.enum_type()->FindValueByName(std::string(text));
    const std::optional<std::int32_t> number =
        named != nullptr ? named->number() : number_of<std::int32_t>(text);
    if (!number) return wrong(field_, text, "a value of enum " + field_.enum_type()->name());
    put(*number, &pb::Reflection::SetEnumValue, &pb::Reflection::AddEnumValue);
    return {};
  }
  Result<void> string(std::string_view text) {
    std::string value;
    if (field_.type() == pb::FieldDescriptor::TYPE_BYTES) {
      if (!from_base64(text, value)) return wrong(field_, text, "base64");
    } else {
      if (!http::is_utf8(as_bytes(text))) return wrong(field_, text, "UTF-8");
      value = text;
    }
    if (field_.is_repeated()) {
      reflection_.AddString(&message_, &field_, std::move(value));
    } else {
      reflection_.SetString(&message_, &field_, std::move(value));
    }
    return {};
  }
  Result<void> well_known(std::string_view text) {
    const Form form = form_of(*field_.message_type());
    if (form == Form::none) return wrong(field_, text, "a message");
    if (!http::is_utf8(as_bytes(text))) return wrong(field_, text, "UTF-8");
    std::string json;
    if (form == Form::quoted) {
      json.push_back('"');
      http::append_json_escaped(json, text);
      json.push_back('"');
    } else {
      if (text != "true" && text != "false") return wrong(field_, text, "true or false");
      json = text;
    }
    pb::Message* value = field_.is_repeated() ? reflection_.AddMessage(&message_, &field_)
                                              : reflection_.MutableMessage(&message_, &field_);
    if (!from_json(json, *value).ok()) {
      return wrong(field_, text, field_.message_type()->name());
    }
    return {};
  }

  pb::Message& message_;
  const pb::Reflection& reflection_;
  const pb::FieldDescriptor& field_;
};

}  // namespace

Result<FieldPath> find_field(const pb::Descriptor& message, std::string_view path) {
  FieldPath found;
  const pb::Descriptor* at = &message;
  const auto place = [&](std::string_view name) {
    return "\"" + http::escaped(name, 64) + "\" in " + at->full_name();
  };
  for (std::string_view rest = path;;) {
    const std::size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    if (found.size() == kMaxFieldDepth) {
      return fail(Code::invalid_argument, "a path of more than 32 fields");
    }
    const pb::FieldDescriptor* field = field_named(*at, name);
    if (field == nullptr) {
      return fail(Code::invalid_argument, "there is no field " + place(name));
    }
    found.push_back(field);
    if (dot == std::string_view::npos) return found;
    rest.remove_prefix(dot + 1);
    if (field->is_repeated() || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      return fail(Code::invalid_argument, "field " + place(name) + " has no fields to name");
    }
    at = field->message_type();
  }
}

std::string to_string(const FieldPath& path) {
  std::string text;
  for (const pb::FieldDescriptor* field : path) {
    if (!text.empty()) text.push_back('.');
    text.append(field->name());
  }
  return text;
}

bool has_text_form(const pb::FieldDescriptor& field) noexcept {
  return field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE ||
         (!field.is_map() && form_of(*field.message_type()) != Form::none);
}

Result<void> set_field(pb::Message& message, const FieldPath& path, std::string_view text) {
  pb::Message* at = &message;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    at = at->GetReflection()->MutableMessage(at, path[i]);
  }
  return Setter(*at, *path.back()).assign(text);
}

bool is_taken(const pb::Message& message, const FieldPath& path) {
  const pb::Message* at = &message;
  for (const pb::FieldDescriptor* field : path) {
    const pb::Reflection& reflection = *at->GetReflection();
    if (field->is_repeated()) return reflection.FieldSize(*at, field) > 0;
    const pb::OneofDescriptor* oneof = field->real_containing_oneof();
    if (oneof != nullptr && reflection.HasOneof(*at, oneof) && !reflection.HasField(*at, field)) {
      return true;
    }
    if (!reflection.HasField(*at, field)) return false;
    if (field != path.back()) at = &reflection.GetMessage(*at, field);
  }
  return true;
}

}  // namespace tern::rpc
