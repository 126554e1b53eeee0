#include "webtransport/handshake.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/escape.h"
#include "http/structured_fields.h"

namespace tern::webtransport {

namespace {

/// Protocols a client may offer; those behind them are not looked at.
constexpr std::size_t kMaxProtocols = 64;

/// What a structured field's string may hold (RFC 8941 §3.3.3).
bool is_string(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string quoted_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

/// The members of a list of strings; nothing when it is anything else.
std::vector<std::string> strings_of(std::string_view list) {
  std::vector<std::string> strings;
  http::StructuredCursor cursor(list);
  while (const auto member = cursor.next_member()) {
    // Drafts before 13 had tokens here; their meaning is the same.
    const bool text =
        member->kind == http::BareItem::Kind::string || member->kind == http::BareItem::Kind::token;
    if (!text) return {};
    if (strings.size() < kMaxProtocols) strings.push_back(member->unescaped());
  }
  if (cursor.failed()) return {};
  return strings;
}

/// Empty when they have none in common.
std::string first_common(const std::vector<std::string>& wishes,
                         const std::vector<std::string>& known) {
  const auto found = std::find_first_of(wishes.begin(), wishes.end(), known.begin(), known.end());
  return found == wishes.end() ? std::string() : *found;
}

Answer refuse(http::Status status, std::string why) {
  Answer answer;
  answer.response.set_status(status);
  answer.response.text(why + "\n");
  answer.refusal = std::move(why);
  return answer;
}

}  // namespace

Answer answer_session(const http::RequestHead& request, const ServerOptions& options) {
  if (std::string why = options.origins().refusal(request); !why.empty()) {
    return refuse(http::Status::forbidden, std::move(why));
  }
  Answer answer;
  // Asked for in drafts 2 to 6 (§3.3 there): without it Chromium's older relatives hang up.
  if (request.fields.find("sec-webtransport-http3-draft02") == "1") {
    answer.response.field("sec-webtransport-http3-draft", "draft02");
  }
  if (const auto list = request.fields.joined("wt-available-protocols")) {
    const std::vector<std::string> offered = strings_of(*list);
    const std::vector<std::string>& ours = options.protocols();
    answer.protocol =
        options.client_preference_set() ? first_common(offered, ours) : first_common(ours, offered);
    if (!answer.protocol.empty())
      answer.response.field("wt-protocol", quoted_string(answer.protocol));
  }
  return answer;
}

std::string available_protocols(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& name : protocols) {
    if (!is_string(name)) continue;
    if (!list.empty()) list += ", ";
    list += quoted_string(name);
  }
  return list;
}

Result<std::string> chosen_protocol(const http::Response& response,
                                    const std::vector<std::string>& offered) {
  const auto field = response.fields().joined("wt-protocol");
  if (!field) return std::string();
  http::StructuredCursor cursor(*field);
  const auto item = cursor.item();
  if (!item) return std::string();
  while (cursor.next_parameter()) {
  }
  const bool text =
      item->kind == http::BareItem::Kind::string || item->kind == http::BareItem::Kind::token;
  if (!text || cursor.failed() || !cursor.at_end()) return std::string();
  std::string name = item->unescaped();
  if (std::find(offered.begin(), offered.end(), name) == offered.end()) {
    return fail(Error(
        Code::invalid,
        "the server has chosen protocol \"" + http::escaped(name, 64) + "\", which was not offered",
        Origin::remote));
  }
  return name;
}

bool raise_windows(CapsuleWindows& windows, const http::Fields& fields) {
  static constexpr std::pair<std::string_view, std::uint64_t CapsuleWindows::*> kKeys[] = {
      {"u", &CapsuleWindows::stream_data_uni},
      {"bl", &CapsuleWindows::stream_data_bidi_local},
      {"br", &CapsuleWindows::stream_data_bidi_remote},
  };
  const auto field = fields.joined("webtransport-init");
  if (!field) return true;
  CapsuleWindows raised = windows;
  http::StructuredCursor cursor(*field);
  while (const auto entry = cursor.next_entry()) {
    for (const auto& [key, window] : kKeys) {
      if (entry->key != key) continue;
      if (entry->value.kind != http::BareItem::Kind::integer || entry->value.integer < 0) {
        return false;
      }
      raised.*window = std::max(windows.*window, static_cast<std::uint64_t>(entry->value.integer));
    }
  }
  if (cursor.failed()) return false;
  windows = raised;
  return true;
}

std::string init_field(const CapsuleWindows& windows) {
  return fmt::format("u={}, bl={}, br={}", windows.stream_data_uni, windows.stream_data_bidi_local,
                     windows.stream_data_bidi_remote);
}

CapsuleWindows initial_windows() noexcept {
  CapsuleWindows windows;
  windows.data = 256 * 1024;
  windows.stream_data_uni = windows.stream_data_bidi_local = windows.stream_data_bidi_remote =
      64 * 1024;
  windows.streams_uni = windows.streams_bidi = 100;
  return windows;
}

CapsuleWindows granted_windows(const SessionOptions& options) noexcept {
  CapsuleWindows windows = initial_windows();
  const std::uint64_t stream = std::max(windows.stream_data_uni, options.stream_window());
  windows.stream_data_uni = windows.stream_data_bidi_local = windows.stream_data_bidi_remote =
      stream;
  return windows;
}

CapsuleWindows known_windows(const SessionOptions& options, const http::Fields& peers) {
  CapsuleWindows windows = granted_windows(options);
  if (!peers.find("webtransport-init")) {
    windows.stream_data_known = initial_windows().stream_data_uni;
  }
  return windows;
}

// ---- WebSocket ----------------------------------------------------------------------------------

std::string subprotocol_of(std::string_view name) {
  std::string subprotocol(kSubprotocol);
  subprotocol.push_back('.');
  http::append_percent_encoded(subprotocol, name);
  return subprotocol;
}

std::optional<std::string> protocol_of(std::string_view subprotocol) {
  if (!subprotocol.starts_with(kSubprotocol)) return std::nullopt;
  subprotocol.remove_prefix(kSubprotocol.size());
  if (subprotocol.empty()) return std::string();
  if (subprotocol.front() != '.') return std::nullopt;
  std::string name;
  if (!http::percent_decode(subprotocol.substr(1), name)) return std::nullopt;
  return name;
}

}  // namespace tern::webtransport
