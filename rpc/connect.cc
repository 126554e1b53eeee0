#include "rpc/connect.h"

#include <memory>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include "http/escape.h"
#include "rpc/compression.h"
#include "rpc/json.h"
#include "rpc/query.h"
#include "rpc/struct_member.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  http::append_json_escaped(out, text);
  out.push_back('"');
}

/// The detail as JSON for people, if the program knows its type.
std::optional<std::string> debug_of(const Detail& detail) {
  const pb::Descriptor* type =
      pb::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(detail.type()));
  if (type == nullptr) return std::nullopt;
  const std::unique_ptr<pb::Message> message(
      pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!message->ParseFromString(detail.value)) return std::nullopt;
  auto json = to_json(*message);
  if (!json) return std::nullopt;
  return std::move(*json);
}

Status error_of(const pb::Struct& object, Code otherwise) {
  const std::string_view name = text_of(member(object, "code"));
  const auto code = code_of(name);
  // Upper-case names and "ok" are gRPC's, not Connect's.
  const bool known = code && *code != Code::ok && name_of(*code) == name;
  Status status(known ? *code : otherwise, std::string(text_of(member(object, "message"))));
  const pb::Value* details = member(object, "details");
  if (details == nullptr || details->kind_case() != pb::Value::kListValue) return status;
  for (const pb::Value& each : details->list_value().values()) {
    if (each.kind_case() != pb::Value::kStructValue) continue;
    const std::string_view type = text_of(member(each.struct_value(), "type"));
    Detail detail;
    if (type.empty() || !from_base64(text_of(member(each.struct_value(), "value")), detail.value)) {
      continue;
    }
    detail.type_url = "type.googleapis.com/" + std::string(type);
    status.detail(std::move(detail));
  }
  return status;
}

}  // namespace

// ---- errors and ends ----------------------------------------------------------------------------

std::string connect_error(const Status& status) {
  std::string out = "{\"code\":\"" + std::string(name_of(status.code())) + '"';
  if (!status.message().empty()) {
    out.append(",\"message\":");
    append_string(out, status.message());
  }
  const char* before = ",\"details\":[";
  for (const Detail& detail : status.details()) {
    out.append(before).append("{\"type\":");
    append_string(out, detail.type());
    out.append(",\"value\":\"").append(to_base64(detail.value)).push_back('"');
    if (const auto debug = debug_of(detail)) out.append(",\"debug\":").append(*debug);
    out.push_back('}');
    before = ",";
  }
  if (!status.details().empty()) out.push_back(']');
  out.push_back('}');
  return out;
}

Status parse_connect_error(std::string_view json, Code otherwise) {
  pb::Struct object;
  if (!from_json(json, object).ok()) return Status(otherwise);
  return error_of(object, otherwise);
}

std::string connect_end(const Status& status, const Metadata& trailers) {
  std::string out = "{";
  if (!status.ok()) out.append("\"error\":").append(connect_error(status));
  if (!trailers.empty()) {
    if (!status.ok()) out.push_back(',');
    // As header lines have them: binary values in base64.
    http::Fields fields;
    trailers.add_to(fields);
    out.append("\"metadata\":{");
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string_view name = fields[i].name;
      bool first = true;
      for (std::size_t k = 0; k < i && first; ++k) first = fields[k].name != name;
      if (!first) continue;  // its values stand together
      if (i > 0) out.push_back(',');
      append_string(out, name);
      const char* before = ":[";
      for (std::size_t k = i; k < fields.size(); ++k) {
        if (fields[k].name != name) continue;
        out.append(before);
        append_string(out, fields[k].value);
        before = ",";
      }
      out.push_back(']');
    }
    out.push_back('}');
  }
  out.push_back('}');
  return out;
}

Result<ConnectEnd> parse_connect_end(std::string_view json) {
  const auto malformed = [](std::string_view what) {
    return fail(Code::internal, "the end of the stream is malformed: " + std::string(what));
  };
  pb::Struct object;
  if (!from_json(json, object).ok()) return malformed("no JSON object");
  ConnectEnd end;
  const pb::Value* error = member(object, "error");
  if (error != nullptr && error->kind_case() != pb::Value::kNullValue) {
    if (error->kind_case() != pb::Value::kStructValue) return malformed("its error is no object");
    end.status = error_of(error->struct_value(), Code::unknown);
  }
  const pb::Value* metadata = member(object, "metadata");
  if (metadata == nullptr || metadata->kind_case() != pb::Value::kStructValue) return end;
  http::Fields fields;
  for (const auto& [name, values] : metadata->struct_value().fields()) {
    if (values.kind_case() != pb::Value::kListValue) return malformed("its metadata");
    for (const pb::Value& value : values.list_value().values()) {
      if (value.kind_case() != pb::Value::kStringValue) return malformed("its metadata");
      fields.add(name, value.string_value());
    }
  }
  auto trailers = Metadata::from(fields);
  if (!trailers) return fail(std::move(trailers).error());
  end.trailers = std::move(*trailers);
  return end;
}

// ---- queries ------------------------------------------------------------------------------------

namespace {

Result<Codec> codec_named(std::string_view name) {
  if (name == "proto") return Codec::proto;
  if (name == "json") return Codec::json;
  return fail(Code::invalid_argument, "encoding is neither proto nor json");
}

/// Values of the five parameters; nothing: not there.
struct Parameters {
  std::optional<std::string> connect, base64, compression, encoding, message;

  std::optional<std::string>* named(std::string_view name) noexcept {
    if (name == "connect") return &connect;
    if (name == "base64") return &base64;
    if (name == "compression") return &compression;
    if (name == "encoding") return &encoding;
    return name == "message" ? &message : nullptr;
  }
};

Result<Parameters> parameters_of(std::string_view text) {
  Parameters found;
  QueryReader reader(text);
  while (reader.next()) {
    std::optional<std::string>* place = found.named(reader.name());
    if (place == nullptr) continue;
    if (place->has_value()) {
      return fail(Code::invalid_argument, "parameter " + reader.name() + " is there twice");
    }
    *place = reader.value();
  }
  if (reader.failed()) return fail(Code::invalid_argument, "the query cannot be decoded");
  return found;
}

}  // namespace

Result<ConnectQuery> parse_connect_query(std::string_view text) {
  auto given = parameters_of(text);
  if (!given) return fail(std::move(given).error());
  ConnectQuery query;
  query.versioned = given->connect.has_value();
  if (query.versioned && *given->connect != "v1") {
    return fail(Code::invalid_argument, "connect is not v1");
  }
  if (!given->message) return fail(Code::invalid_argument, "parameter message is missing");
  if (!given->encoding) return fail(Code::invalid_argument, "parameter encoding is missing");
  auto codec = codec_named(*given->encoding);
  if (!codec) return fail(std::move(codec).error());
  query.codec = *codec;
  if (given->compression) {
    const auto coding = coding_named(*given->compression);
    if (!coding) {
      return fail(Code::unimplemented,
                  "compression is unknown; there are " + std::string(kConnectAcceptEncoding));
    }
    query.coding = *coding;
  }
  const std::string base64 = given->base64.value_or("0");
  if (base64 != "0" && base64 != "1")
    return fail(Code::invalid_argument, "base64 is neither 0 nor 1");
  if (base64 == "0") {
    query.message = std::move(*given->message);
  } else if (!from_base64(*given->message, query.message)) {
    return fail(Code::invalid_argument, "the message is no base64");
  }
  return query;
}

std::string to_string(const ConnectQuery& query) {
  const bool plain = query.codec == Codec::json && query.coding == http::Coding::identity;
  std::string out = query.versioned ? "connect=v1&" : "";
  if (!plain) out.append("base64=1&");
  if (query.coding != http::Coding::identity) {
    out.append("compression=").append(coding_name(query.coding)).push_back('&');
  }
  out.append("encoding=").append(name_of(query.codec)).append("&message=");
  if (plain) {
    http::append_percent_encoded(out, query.message);
  } else {
    out.append(to_base64(query.message, false, true));
  }
  return out;
}

}  // namespace tern::rpc
