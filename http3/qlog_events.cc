#include "http3/qlog_events.h"

#include <iterator>

#include <fmt/format.h>

#include "http/access_log.h"
#include "http/escape.h"
#include "http3/frame_walker.h"
#include "transport/quic/qlog.h"

namespace tern::http3 {

namespace {

std::string parameters(const Settings& settings) {
  std::string text;
  if (settings.max_field_section != kMaxVarint) {
    text += fmt::format("\"max_field_section_size\":{},", settings.max_field_section);
  }
  text += fmt::format(
      "\"max_table_capacity\":{},\"blocked_streams_count\":{},\"extended_connect\":{},"
      "\"h3_datagram\":{}",
      settings.qpack_capacity, settings.qpack_blocked_streams, settings.extended_connect ? 1 : 0,
      settings.datagrams ? 1 : 0);
  return text;
}

std::string_view initiator(bool local) noexcept { return local ? "local" : "remote"; }

std::string_view setting_name(std::uint64_t id) noexcept {
  switch (id) {
    case kSettingQpackMaxTableCapacity: return "settings_qpack_max_table_capacity";
    case kSettingMaxFieldSectionSize: return "settings_max_field_section_size";
    case kSettingQpackBlockedStreams: return "settings_qpack_blocked_streams";
    case kSettingEnableConnectProtocol: return "settings_enable_connect_protocol";
    case kSettingH3Datagram: return "settings_h3_datagram";
    default: return is_grease(id) ? "reserved" : "unknown";
  }
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += ',';
  out += "{\"name\":\"";
  http::append_json_escaped(out, name);
  out += "\",\"value\":\"";
  http::append_json_escaped(out, http::without_secrets(name, value));
  out += "\"}";
}

}  // namespace

void Http3Qlog::write(std::string_view name, std::string_view data) {
  writer_->event(runtime_.now(), name, data);
}

void Http3Qlog::frame(bool created, quic::StreamId stream, std::string_view frame) {
  write(created ? "http3:frame_created" : "http3:frame_parsed",
        fmt::format("{{\"stream_id\":{},\"frame\":{{{}}}}}", stream, frame));
}

void Http3Qlog::parameters_set(bool local, const Settings& settings) {
  write("http3:parameters_set",
        fmt::format("{{\"initiator\":\"{}\",{}}}", initiator(local), parameters(settings)));
}

void Http3Qlog::parameters_restored(const Settings& settings) {
  write("http3:parameters_restored", fmt::format("{{{}}}", parameters(settings)));
}

void Http3Qlog::stream_type_set(bool local, quic::StreamId stream, std::uint64_t type) {
  std::string_view known;
  switch (type) {
    case kStreamControl: known = "control"; break;
    case kStreamPush: known = "push"; break;
    case kStreamQpackEncoder: known = "qpack_encode"; break;
    case kStreamQpackDecoder: known = "qpack_decode"; break;
    default: known = is_grease(type) ? "reserved" : "unknown"; break;
  }
  std::string data = fmt::format("{{\"initiator\":\"{}\",\"stream_id\":{},\"stream_type\":\"{}\"",
                                 initiator(local), stream, known);
  if (known == "unknown") data += fmt::format(",\"stream_type_bytes\":{}", type);
  data += '}';
  write("http3:stream_type_set", data);
}

void Http3Qlog::request_stream(bool local, quic::StreamId stream) {
  write("http3:stream_type_set",
        fmt::format("{{\"initiator\":\"{}\",\"stream_id\":{},\"stream_type\":\"request\"}}",
                    initiator(local), stream));
}

void Http3Qlog::settings_frame(bool created, quic::StreamId stream,
                               std::span<const Setting> entries) {
  std::string text = "\"frame_type\":\"settings\",\"settings\":[";
  for (const Setting& entry : entries) {
    if (text.back() != '[') text += ',';
    const std::string_view name = setting_name(entry.id);
    text += fmt::format("{{\"name\":\"{}\",", name);
    if (name == "unknown") text += fmt::format("\"name_bytes\":{},", entry.id);
    text += fmt::format("\"value\":{}}}", entry.value);
  }
  text += ']';
  frame(created, stream, text);
}

void Http3Qlog::data_frame(bool created, quic::StreamId stream, std::uint64_t length) {
  frame(created, stream,
        fmt::format("\"frame_type\":\"data\",\"raw\":{{\"payload_length\":{}}}", length));
}

void Http3Qlog::goaway_frame(bool created, quic::StreamId stream, std::uint64_t id) {
  frame(created, stream, fmt::format("\"frame_type\":\"goaway\",\"id\":{}", id));
}

void Http3Qlog::priority_update_frame(bool created, quic::StreamId control, std::uint64_t element,
                                      std::string_view value) {
  std::string text = fmt::format(
      "\"frame_type\":\"priority_update\",\"stream_id\":{},\"priority_field_value\":\"", element);
  http::append_json_escaped(text, value);
  text += '"';
  frame(created, control, text);
}

void Http3Qlog::other_frame(quic::StreamId stream, std::uint64_t type, std::uint64_t length) {
  frame(false, stream,
        fmt::format("\"frame_type\":\"{}\",\"frame_type_bytes\":{},"
                    "\"raw\":{{\"payload_length\":{}}}",
                    is_grease(type) ? "reserved" : "unknown", type, length));
}

void Http3Qlog::headers_created(quic::StreamId stream, std::span<const FieldLine> lines) {
  std::string all;
  for (const FieldLine& line : lines) append_line(all, line.text, line.value);
  frame(true, stream, fmt::format("\"frame_type\":\"headers\",\"headers\":[{}]", all));
}

void Http3Qlog::header_parsed(std::string_view name, std::string_view value) {
  append_line(section_, name, value);
}

void Http3Qlog::headers_parsed(quic::StreamId stream) {
  frame(false, stream, fmt::format("\"frame_type\":\"headers\",\"headers\":[{}]", section_));
  section_.clear();
}

void Http3Qlog::priority_updated(quic::StreamId stream, http::Priority priority, bool by_client) {
  write("http3:priority_updated",
        fmt::format("{{\"stream_id\":{},\"new\":\"u={}{}\",\"trigger\":\"{}\"}}", stream,
                    priority.urgency, priority.incremental ? ", i" : "",
                    by_client ? "client_signal_received" : "local"));
}

void Http3Qlog::datagram(bool created, quic::StreamId stream, std::size_t size) {
  write(created ? "http3:datagram_created" : "http3:datagram_parsed",
        fmt::format("{{\"quarter_stream_id\":{},\"raw\":{{\"payload_length\":{}}}}}", stream / 4,
                    size));
}

}  // namespace tern::http3
