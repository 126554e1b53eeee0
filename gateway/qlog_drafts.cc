#include "gateway/qlog_drafts.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace tern {
namespace {

/// The string that follows `key`, `"group_id":"` for instance; empty if it is not there.
std::string_view text_behind(std::string_view record, std::string_view key) noexcept {
  const std::size_t at = record.find(key);
  if (at == record.npos) return {};
  record.remove_prefix(at + key.size());
  return record.substr(0, record.find('"'));
}

std::string header(std::string_view record) {
  return fmt::format(
      "\x1e{{\"file_schema\":\"urn:ietf:params:qlog:file:sequential\","
      "\"serialization_format\":\"application/qlog+json-seq\",\"trace\":{{"
      "\"common_fields\":{{\"group_id\":\"{}\",\"time_format\":\"relative_to_epoch\","
      "\"reference_time\":{{\"clock_type\":\"monotonic\",\"epoch\":\"unknown\"}}}},"
      "\"vantage_point\":{{\"name\":\"tern\",\"type\":\"{}\"}},"
      "\"event_schemas\":[\"urn:ietf:params:qlog:events:quic\","
      "\"urn:ietf:params:qlog:events:http3\"]}}}}\n",
      text_behind(record, "\"group_id\":\""), text_behind(record, "\"type\":\""));
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// `begin"…"}`, an object with one string, becomes `to"…"` and what `end` says.
void unwrap(std::string& text, std::string_view begin, std::string_view to, std::string_view end) {
  for (std::size_t at = text.find(begin); at != text.npos; at = text.find(begin, at + to.size())) {
    const std::size_t close = text.find('}', at + begin.size());
    if (close == text.npos) return;
    text.replace(close, 1, end);
    text.replace(at, begin.size(), to);
  }
}

std::size_t end_of_number(std::string_view text, std::size_t begin) noexcept {
  return std::min(text.find_first_not_of("0123456789", begin), text.size());
}

/// Lengths of frames; a packet's stands at the beginning of its object.
void wrap_lengths(std::string& text) {
  constexpr std::string_view kFrom = ",\"length\":";
  constexpr std::string_view kTo = ",\"raw\":{\"length\":";
  for (std::size_t at = text.find(kFrom); at != text.npos; at = text.find(kFrom, at + kTo.size())) {
    text.insert(end_of_number(text, at + kFrom.size()), "}");
    text.replace(at, kFrom.size(), kTo);
  }
}

std::string transport_error(std::uint64_t code) {
  constexpr const char* kNames[] = {"no_error",
                                    "internal_error",
                                    "connection_refused",
                                    "flow_control_error",
                                    "stream_limit_error",
                                    "stream_state_error",
                                    "final_size_error",
                                    "frame_encoding_error",
                                    "transport_parameter_error",
                                    "connection_id_limit_error",
                                    "protocol_violation",
                                    "invalid_token",
                                    "application_error",
                                    "crypto_buffer_exceeded",
                                    "key_update_error",
                                    "aead_limit_reached",
                                    "no_viable_path"};
  if (code < std::size(kNames)) return kNames[code];
  return code >= 0x100 && code < 0x200 ? fmt::format("crypto_error_{:#x}", code) : "unknown";
}

/// A code gets its name; those of applications are not known here.
void name_errors(std::string& text) {
  constexpr std::string_view kCode = "\"error_code\":";
  constexpr std::string_view kRaw = ",\"raw_error_code\":";
  for (std::size_t at = text.find(kCode); at != text.npos;) {
    const std::size_t digits = at + kCode.size();
    const std::size_t end = end_of_number(text, digits);
    std::uint64_t code = 0;
    std::from_chars(text.data() + digits, text.data() + end, code);
    if (text.compare(end, kRaw.size(), kRaw) == 0) {
      text.erase(end, end_of_number(text, end + kRaw.size()) - end);
    }
    constexpr std::string_view kTransport = "\"error_space\":\"transport\",";
    const bool transport =
        text.compare(at - std::min(at, kTransport.size()), kTransport.size(), kTransport) == 0;
    const std::string named =
        fmt::format("\"error\":\"{}\",", transport ? transport_error(code) : "unknown");
    text.insert(at, named);
    at = text.find(kCode, at + named.size() + kCode.size());
  }
}

}  // namespace

std::string qlog_in_drafts(std::string_view record) {
  if (record.find("\"qlog_format\":") != record.npos) return header(record);
  std::string text(record);
  // An HTTP/3 event has texts of the peer's in it.
  if (text.find("\"name\":\"transport:") == text.npos &&
      text.find("\"name\":\"recovery:") == text.npos)
    return text;
  replace(text, "\"name\":\"transport:", "\"name\":\"quic:");
  replace(text, "\"name\":\"recovery:metrics_updated\"",
          "\"name\":\"quic:recovery_metrics_updated\"");
  replace(text, "\"name\":\"recovery:", "\"name\":\"quic:");
  replace(text, "\"owner\":", "\"initiator\":");
  unwrap(text, "\"stateless_reset_token\":{\"data\":", "\"stateless_reset_token\":", "");
  unwrap(text, "\"token\":{\"data\":", "\"token\":{\"raw\":{\"data\":", "}}");
  unwrap(text, "},\"retry_token\":{\"data\":", ",\"token\":{\"type\":\"retry\",\"raw\":{\"data\":",
         "}}}");
  wrap_lengths(text);
  name_errors(text);
  return text;
}

}  // namespace tern
