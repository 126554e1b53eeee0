#include "tools/tern/call_output.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>

#include "rpc/json.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/socket_client.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

namespace pb = google::protobuf;

/// A "-bin" value as people write it: in base64.
std::string shown_entry(const rpc::Metadata::Entry& entry) {
  return rpc::Metadata::is_binary(entry.key) ? rpc::to_base64(entry.value, true) : entry.value;
}

void print_metadata(const rpc::Metadata& metadata) {
  for (const rpc::Metadata::Entry& entry : metadata) {
    tell("< {}: {}\n", printable(entry.key), printable(shown_entry(entry)));
  }
}

bool print_out(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

void write_metadata(JsonWriter& json, std::string_view name, const rpc::Metadata& metadata) {
  json.key(name).begin_array();
  for (const rpc::Metadata::Entry& entry : metadata) {
    json.begin_array().value(entry.key).value(shown_entry(entry)).end();
  }
  json.end();
}

}  // namespace

ExitCode exit_code(rpc::Code code) noexcept {
  constexpr int kFirst = 64;
  return code == rpc::Code::ok ? ExitCode::done
                               : static_cast<ExitCode>(kFirst + static_cast<int>(code));
}

CallOutput::CallOutput(const CallOptions& options, const Schema& schema)
    : options_(options), schema_(schema), to_terminal_(is_terminal(stdout)) {}

rpc::Result<void> CallOutput::show(const pb::Message& message) {
  rpc::JsonOptions how;
  how.defaults(options_.emit_defaults).indented(to_terminal_ && !options_.json);
  rpc::Result<std::string> json = rpc::to_json(message, how);
  if (!json) return rpc::fail(std::move(json).error());
  if (options_.json) {
    kept_bytes_ += json->size();
    if (kept_bytes_ <= kMaxKept) kept_.push_back(std::move(*json));
    return {};
  }
  if (json->empty() || json->back() != '\n') json->push_back('\n');
  good_ = good_ && print_out(to_terminal_ ? printable_lines(*json) : *json);
  return {};
}

void CallOutput::show_headers(const rpc::Metadata& headers) const {
  if (!options_.verbose) return;
  print_metadata(headers);
  tell("<\n");
}

std::string CallOutput::detail_json(const rpc::Detail& detail) const {
  const std::string type(detail.type());
  const pb::Descriptor* descriptor = schema_.message(type);
  if (descriptor == nullptr) {
    descriptor = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  }
  if (descriptor == nullptr) return {};
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> message(factory.GetPrototype(descriptor)->New());
  if (!message->ParseFromString(detail.value)) return {};
  return rpc::to_json(*message).value_or(std::string());
}

void CallOutput::show_result(const CallResult& result) const {
  const Paint paint(stderr);
  if (options_.verbose) {
    print_metadata(result.trailers);
    tell("{}\n", paint.dim(fmt::format("* {} over {}: {} sent, {} received in {}",
                                       rpc::upper_name_of(result.status.code()),
                                       result.wire.empty() ? "nothing" : result.wire, result.sent,
                                       result.received, human_duration(result.took))));
  }
  if (options_.json) return print_json(result);
  if (result.message.empty()) return;
  tell("{} {}\n", paint.red("tern call:"), printable(result.message));
  for (const rpc::Detail& detail : result.status.details()) {
    const std::string json = detail_json(detail);
    tell("  {} {}\n", printable(detail.type()),
         json.empty() ? fmt::format("({} bytes: {})", detail.value.size(),
                                    hex(std::string_view(detail.value).substr(0, 64)))
                      : printable(json));
  }
}

void CallOutput::print_json(const CallResult& result) const {
  JsonWriter json;
  json.begin_object();
  json.member("url", options_.url);
  json.member("method", result.method);
  json.member("exit_code", static_cast<int>(result.code));
  if (!result.message.empty()) json.member("error", result.message);
  json.member("wire", result.wire);
  json.key("status").begin_object();
  json.member("code", static_cast<int>(result.status.code()));
  json.member("name", rpc::upper_name_of(result.status.code()));
  json.member("message", result.status.message());
  json.key("details").begin_array();
  for (const rpc::Detail& detail : result.status.details()) {
    json.begin_object().member("type", detail.type());
    const std::string value = detail_json(detail);
    if (value.empty()) {
      json.member("base64", rpc::to_base64(detail.value, true));
    } else {
      json.key("value").raw(value);
    }
    json.end();
  }
  json.end().end();
  write_metadata(json, "headers", result.headers);
  json.key("messages").begin_array();
  for (const std::string& each : kept_) json.raw(each);
  json.end();
  json.member("messages_complete", kept_bytes_ <= kMaxKept);
  write_metadata(json, "trailers", result.trailers);
  json.member("sent", static_cast<std::uint64_t>(result.sent));
  json.member("received", static_cast<std::uint64_t>(result.received));
  json.member("took_ms", std::chrono::duration<double, std::milli>(result.took).count());
  json.end();
  print_out(json.text() + "\n");
}

bool print_names(const std::vector<std::string>& names, bool json) {
  std::string text;
  if (json) {
    JsonWriter writer;
    writer.begin_object().key("names").begin_array();
    for (const std::string& name : names) writer.value(name);
    writer.end().end();
    text = writer.text() + "\n";
  } else {
    for (const std::string& name : names) text += printable(name) + "\n";
  }
  return print_out(text);
}

bool print_definition(std::string_view name, const std::string& definition, bool json) {
  if (!json) return print_out(printable_lines(definition));
  JsonWriter writer;
  writer.begin_object().member("name", name).member("definition", definition).end();
  return print_out(writer.text() + "\n");
}

}  // namespace tern::cli
