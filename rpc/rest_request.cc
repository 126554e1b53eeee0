#include "rpc/rest_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "http/escape.h"
#include "http/fields.h"
#include "rpc/http_body.h"
#include "rpc/metadata.h"
#include "rpc/query.h"
#include "rpc/struct_member.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

/// What of a template's literals stays as it is: all that may stand in a segment (RFC 3986 §3.3),
/// but for the ':' of verbs.
constexpr std::string_view kLiteral = "!$&'()*+,;=@";

tl::unexpected<Status> refuse(std::string message) {
  return fail(Code::invalid_argument, std::move(message));
}

// ---- a field's text -----------------------------------------------------------------------------

template <typename Number>
std::string text_of_number(Number number) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return std::string(digits.data(), end);
}

/// What `set_field` reads: one value of a field, the `index`th of a repeated one.
class Getter {
 public:
  Getter(const pb::Message& message, const pb::FieldDescriptor& field, int index) noexcept
      : message_(message), reflection_(*message.GetReflection()), field_(field), index_(index) {}

  Result<std::string> text() const {
    using Reflection = pb::Reflection;
    switch (field_.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        return text_of_number(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32));
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return text_of_number(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        return text_of_number(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32));
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        return text_of_number(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        return text_of_number(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        return text_of_number(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        return get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false";
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        const int number = get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue);
        const auto* named = field_.enum_type()->FindValueByNumber(number);
        return named != nullptr ? named->name() : text_of_number(number);
      }
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        std::string value = get(&Reflection::GetString, &Reflection::GetRepeatedString);
        if (field_.type() != pb::FieldDescriptor::TYPE_BYTES) return value;
        return to_base64(value, false, true);
      }
      case pb::FieldDescriptor::CPPTYPE_MESSAGE: break;
    }
    const pb::Message& value = field_.is_repeated()
                                   ? reflection_.GetRepeatedMessage(message_, &field_, index_)
                                   : reflection_.GetMessage(message_, &field_);
    return well_known(value);
  }

 private:
  template <typename Value>
  Value get(Value (pb::Reflection::*one)(const pb::Message&, const pb::FieldDescriptor*) const,
            Value (pb::Reflection::*repeated)(const pb::Message&, const pb::FieldDescriptor*, int)
                const) const {
    return field_.is_repeated() ? (reflection_.*repeated)(message_, &field_, index_)
                                : (reflection_.*one)(message_, &field_);
  }
  /// Its JSON, without the quotes of a string.
  static Result<std::string> well_known(const pb::Message& value) {
    auto json = to_json(value);
    if (!json) return refuse(json.error().message());
    if (!json->starts_with('"')) return json;
    pb::Value text;
    if (Status read = from_json(*json, text); !read.ok()) return fail(std::move(read));
    return text.string_value();
  }

  const pb::Message& message_;
  const pb::Reflection& reflection_;
  const pb::FieldDescriptor& field_;
  int index_;
};

/// A path's field; an error where a message on the way to it, or the field, is known not to be set.
Result<std::string> text_at(const pb::Message& message, const FieldPath& path) {
  const pb::Message* at = &message;
  for (const pb::FieldDescriptor* field : path) {
    const pb::Reflection& reflection = *at->GetReflection();
    if (field->has_presence() && !reflection.HasField(*at, field)) {
      return refuse("field " + to_string(path) + " is in the path and not set");
    }
    if (field != path.back()) at = &reflection.GetMessage(*at, field);
  }
  return Getter(*at, *path.back(), 0).text();
}

void clear_at(pb::Message& message, const FieldPath& path) {
  pb::Message* at = &message;
  for (const pb::FieldDescriptor* field : path) {
    const pb::Reflection& reflection = *at->GetReflection();
    if (field == path.back()) return reflection.ClearField(at, field);
    if (!reflection.HasField(*at, field)) return;
    at = reflection.MutableMessage(at, field);
  }
}

// ---- the path -----------------------------------------------------------------------------------

using Kind = PathTemplate::Segment::Kind;

class PathWriter {
 public:
  PathWriter(const RestRoute& route, const pb::Message& request) noexcept
      : route_(route), request_(request) {}

  Result<std::string> run() {
    const std::vector<PathTemplate::Segment>& segments = route_.path.segments();
    const std::vector<PathTemplate::Variable>& variables = route_.path.variables();
    std::size_t next = 0;  // variable; they are in the order of the path
    for (std::size_t i = 0; i < segments.size();) {
      if (next < variables.size() && variables[next].first == i) {
        if (auto done = variable(next); !done) return fail(std::move(done).error());
        i = variables[next++].end;
        continue;
      }
      if (segments[i].kind == Kind::one) {
        return refuse("the path has a * outside of its fields, which nothing fills");
      }
      if (segments[i].kind == Kind::literal) segment(segments[i].text, kLiteral);
      ++i;
    }
    if (path_.empty()) path_ = "/";
    if (!route_.path.verb().empty()) {
      path_.push_back(':');
      http::append_percent_encoded(path_, route_.path.verb(), kLiteral);
    }
    return std::move(path_);
  }

 private:
  void segment(std::string_view text, std::string_view kept = {}) {
    path_.push_back('/');
    http::append_percent_encoded(path_, text, kept);
  }

  Result<void> variable(std::size_t index) {
    const PathTemplate::Variable& variable = route_.path.variables()[index];
    auto value = text_at(request_, route_.variables[index]);
    if (!value) return fail(std::move(value).error());
    const auto unfit = [&](std::string_view why) {
      return refuse("field " + variable.field_path + " is in the path, and \"" +
                    http::escaped(*value, 64) + "\" " + std::string(why));
    };
    if (!variable.multiple) {
      if (value->empty())
        return refuse("field " + variable.field_path + " is in the path and not set");
      if (is_dots(*value)) return unfit("means another path");
      const PathTemplate::Segment& wanted = route_.path.segments()[variable.first];
      if (wanted.kind == Kind::literal && wanted.text != *value) return unfit(not_like(variable));
      segment(*value);
      return {};
    }
    std::string_view rest = *value;
    bool more = !rest.empty();  // segments of the value
    const auto take = [&] {
      const std::size_t slash = rest.find('/');
      const std::string_view taken = rest.substr(0, slash);
      more = slash != std::string_view::npos;
      rest.remove_prefix(more ? slash + 1 : rest.size());
      return taken;
    };
    for (std::size_t i = variable.first; i < variable.end; ++i) {
      const PathTemplate::Segment& wanted = route_.path.segments()[i];
      while (wanted.kind == Kind::rest && more) {
        const std::string_view text = take();
        if (is_dots(text)) return unfit("means another path");
        segment(text);
      }
      if (wanted.kind == Kind::rest) break;
      const std::string_view text = more ? take() : std::string_view();
      if (text.empty() || (wanted.kind == Kind::literal && wanted.text != text)) {
        return unfit(not_like(variable));
      }
      if (is_dots(text)) return unfit("means another path");
      segment(text, wanted.kind == Kind::literal ? kLiteral : std::string_view());
    }
    if (more) return unfit(not_like(variable));
    return {};
  }

  /// RFC 3986 §5.2.4 takes such segments out, and with them others.
  static bool is_dots(std::string_view text) noexcept { return text == "." || text == ".."; }

  /// "is not like shelves/*/books/*"
  std::string not_like(const PathTemplate::Variable& variable) const {
    std::string text = "is not like ";
    for (std::size_t i = variable.first; i < variable.end; ++i) {
      const PathTemplate::Segment& segment = route_.path.segments()[i];
      if (i > variable.first) text.push_back('/');
      text.append(segment.kind == Kind::literal ? segment.text
                  : segment.kind == Kind::one   ? "*"
                                                : "**");
    }
    return text;
  }

  const RestRoute& route_;
  const pb::Message& request_;
  std::string path_;
};

// ---- the query ----------------------------------------------------------------------------------

/// All fields that are set, of a message that has neither the path's nor the body's any more.
class QueryWriter {
 public:
  explicit QueryWriter(const RestRoute& route) noexcept : route_(route) {}

  Result<void> add(const pb::Message& message) {
    std::vector<const pb::FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      path_.push_back(field);
      if (auto done = this->field(message, *field); !done) return done;
      path_.pop_back();
    }
    return {};
  }

  std::string take() && { return std::move(query_); }

 private:
  tl::unexpected<Status> wrong(std::string_view what) const {
    return refuse("field " + to_string(path_) + " cannot be in a query: " + std::string(what));
  }

  Result<void> field(const pb::Message& message, const pb::FieldDescriptor& field) {
    if (field.is_extension()) return wrong("it is an extension");
    if (path_.size() > kMaxFieldDepth) return wrong("it is more than 32 messages deep");
    if (has_text_form(field)) {
      if (!field.is_repeated()) return value(message, field, 0);
      const int count = message.GetReflection()->FieldSize(message, &field);
      for (int i = 0; i < count; ++i) {
        if (auto done = value(message, field, i); !done) return done;
      }
      return {};
    }
    if (field.is_map()) return wrong("it is a map");
    if (field.is_repeated()) return wrong("it is a list of messages");
    const std::size_t before = count_;
    if (auto done = add(message.GetReflection()->GetMessage(message, &field)); !done) return done;
    if (count_ == before && !holds_variable()) return wrong("it is an empty message");
    return {};
  }

  /// A message that the path sets a field of is there without the query.
  bool holds_variable() const noexcept {
    return std::any_of(route_.variables.begin(), route_.variables.end(),
                       [&](const FieldPath& variable) {
                         return path_.size() < variable.size() &&
                                std::equal(path_.begin(), path_.end(), variable.begin());
                       });
  }

  Result<void> value(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
    auto text = Getter(message, field, index).text();
    if (!text) return wrong(text.error().message());
    if (++count_ > QueryReader::kMaxParameters) return wrong("there are more than 1024 values");
    if (!query_.empty()) query_.push_back('&');
    http::append_percent_encoded(query_, to_string(path_));
    query_.push_back('=');
    http::append_percent_encoded(query_, *text);
    return {};
  }

  const RestRoute& route_;
  FieldPath path_;
  std::size_t count_ = 0;
  std::string query_;
};

// ---- bodies -------------------------------------------------------------------------------------

void take_raw(const pb::Message& raw, RestCall& call) {
  const pb::Descriptor& type = *raw.GetDescriptor();
  const pb::Reflection& reflection = *raw.GetReflection();
  call.content_type = reflection.GetString(raw, type.FindFieldByNumber(http_body::kContentType));
  call.body = reflection.GetString(raw, type.FindFieldByNumber(http_body::kData));
  if (call.content_type.empty() || !http::Fields::valid_value(call.content_type)) {
    call.content_type = "application/octet-stream";
  }
}

/// `rest` is the request without what is in the path; loses what the body takes.
Result<void> take_body(const RestRoute& route, pb::Message& rest, RestCall& call) {
  if (route.body == RestRoute::Body::none) return {};
  const pb::Reflection& reflection = *rest.GetReflection();
  Result<std::string> json;
  if (route.body == RestRoute::Body::whole) {
    if (route.raw_request) {
      take_raw(rest, call);
    } else {
      json = to_json(rest);
    }
  } else if (route.raw_request) {
    take_raw(reflection.GetMessage(rest, route.body_field), call);
  } else {
    const bool present = route.body_field->is_repeated()
                             ? reflection.FieldSize(rest, route.body_field) > 0
                             : reflection.HasField(rest, route.body_field);
    // Nothing stays nothing: no body.
    if (present) json = field_to_json(rest, *route.body_field);
  }
  if (!json) return refuse(json.error().message());
  if (!json->empty()) {
    call.content_type = "application/json";
    call.body = std::move(*json);
  }
  if (route.body == RestRoute::Body::whole) {
    rest.Clear();
  } else {
    reflection.ClearField(&rest, route.body_field);
  }
  return {};
}

}  // namespace

Result<RestCall> rest_call(const RestRoute& route, const pb::Message& request) {
  RestCall call;
  auto path = PathWriter(route, request).run();
  if (!path) return fail(std::move(path).error());
  call.target = std::move(*path);
  const std::unique_ptr<pb::Message> rest(request.New());
  rest->CopyFrom(request);
  for (const FieldPath& variable : route.variables) clear_at(*rest, variable);
  if (auto done = take_body(route, *rest, call); !done) return fail(std::move(done).error());
  QueryWriter query(route);
  if (auto done = query.add(*rest); !done) return fail(std::move(done).error());
  const std::string text = std::move(query).take();
  if (!text.empty()) call.target.append("?").append(text);
  call.method = route.http_method;
  // Any method will do.
  if (call.method == "*") call.method = route.body == RestRoute::Body::none ? "GET" : "POST";
  return call;
}

Result<RestCall> rest_call(const std::vector<RestRoute>& routes, const pb::Message& request,
                           std::size_t& chosen) {
  std::optional<Status> first;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (routes[i].http_method == "HEAD") continue;
    auto call = rest_call(routes[i], request);
    if (call) {
      chosen = i;
      return call;
    }
    if (!first) first = std::move(call).error();
  }
  if (first) return fail(std::move(*first));
  return fail(Code::unimplemented, "the method has no google.api.http rule, or for HEAD alone");
}

Status read_answer(const RestRoute& route, std::string_view content_type, std::string_view body,
                   pb::Message& response) {
  response.Clear();
  if (route.raw_response) {
    pb::Message* raw = &response;
    if (route.response_field != nullptr) {
      raw = response.GetReflection()->MutableMessage(raw, route.response_field);
    }
    const pb::Descriptor& type = *raw->GetDescriptor();
    const pb::Reflection& reflection = *raw->GetReflection();
    reflection.SetString(raw, type.FindFieldByNumber(http_body::kContentType),
                         std::string(content_type));
    reflection.SetString(raw, type.FindFieldByNumber(http_body::kData), std::string(body));
    return Status();
  }
  // A field that is not set is null.
  if (body.empty() || (route.response_field != nullptr && body == "null")) return Status();
  Status read = route.response_field != nullptr
                    ? field_from_json(body, response, *route.response_field)
                    : from_json(body, response);
  // What a server writes wrongly is no fault of the arguments.
  if (!read.ok()) return Status(Code::internal, "the response: " + read.message());
  return read;
}

Status parse_rest_error(std::string_view json, Code otherwise) {
  pb::Struct object;
  if (!from_json(json, object).ok()) return Status(otherwise);
  const pb::Value* inner = member(object, "error");
  const bool wrapped = inner != nullptr && inner->kind_case() == pb::Value::kStructValue;
  const pb::Struct& error = wrapped ? inner->struct_value() : object;

  Code code = otherwise;
  // Google's APIs have HTTP's status in `code`, and the name of ours in `status`.
  const std::string_view name = text_of(member(error, "status"));
  const pb::Value* number = member(error, "code");
  if (const auto named = code_of(name);
      named && *named != Code::ok && upper_name_of(*named) == name) {
    code = *named;
  } else if (number != nullptr && number->kind_case() == pb::Value::kNumberValue) {
    for (std::size_t i = 1; i < kCodes; ++i) {
      if (number->number_value() == static_cast<double>(i)) code = static_cast<Code>(i);
    }
  }
  Status status(code, std::string(text_of(member(error, "message"))));
  const pb::Value* details = member(error, "details");
  if (details == nullptr || details->kind_case() != pb::Value::kListValue) return status;
  for (const pb::Value& each : details->list_value().values()) {
    if (each.kind_case() != pb::Value::kStructValue) continue;
    pb::Any any;
    const auto text = to_json(each.struct_value());
    if (text && from_json(*text, any).ok() && !any.type_url().empty()) {
      status.detail({any.type_url(), any.value()});
      continue;
    }
    Detail detail{std::string(text_of(member(each.struct_value(), "@type"))), {}};
    const std::string_view value = text_of(member(each.struct_value(), "value"));
    if (!detail.type_url.empty() && !value.empty() && from_base64(value, detail.value)) {
      status.detail(std::move(detail));
    }
  }
  return status;
}

}  // namespace tern::rpc
