#include "http3/settings.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "http3/frame_walker.h"

namespace tern::http3 {

namespace {

constexpr std::uint8_t kSerializedVersion = 1;

void append_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t bytes[kMaxVarintSize];
  out.insert(out.end(), bytes, write_varint(bytes, value));
}

void append(std::vector<std::uint8_t>& out, std::uint64_t id, std::uint64_t value) {
  append_varint(out, id);
  append_varint(out, value);
}

std::vector<std::uint8_t> payload_of(const Settings& settings) {
  std::vector<std::uint8_t> payload;
  if (settings.qpack_capacity != 0) {
    append(payload, kSettingQpackMaxTableCapacity, settings.qpack_capacity);
  }
  if (settings.max_field_section != kMaxVarint) {
    append(payload, kSettingMaxFieldSectionSize, settings.max_field_section);
  }
  if (settings.qpack_blocked_streams != 0) {
    append(payload, kSettingQpackBlockedStreams, settings.qpack_blocked_streams);
  }
  if (settings.extended_connect) append(payload, kSettingEnableConnectProtocol, 1);
  if (settings.datagrams) {
    append(payload, kSettingH3Datagram, 1);
    append(payload, kSettingH3DatagramDraft, 1);
  }
  for (const Setting& setting : settings.others) append(payload, setting.id, setting.value);
  return payload;
}

}  // namespace

std::optional<std::uint64_t> Settings::other(std::uint64_t id) const noexcept {
  for (const Setting& setting : others) {
    if (setting.id == id) return setting.value;
  }
  return std::nullopt;
}

std::vector<std::uint8_t> Settings::frame() const {
  const std::vector<std::uint8_t> payload = payload_of(*this);
  std::vector<std::uint8_t> bytes;
  append_varint(bytes, kFrameSettings);
  append_varint(bytes, payload.size());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

std::vector<std::uint8_t> Settings::serialize() const {
  std::vector<std::uint8_t> bytes = payload_of(*this);
  bytes.insert(bytes.begin(), kSerializedVersion);
  return bytes;
}

Result<Settings> Settings::deserialize(ByteView bytes) {
  if (bytes.empty() || bytes[0] != kSerializedVersion) {
    return fail(Error::invalid("remembered HTTP/3 settings of an unknown version"));
  }
  SettingsParser parser;
  if (parser.take(bytes.subspan(1)) || parser.finish()) {
    return fail(Error::invalid("remembered HTTP/3 settings are damaged"));
  }
  return parser.settings();
}

bool Settings::keeps_promise_of(const Settings& remembered) const noexcept {
  return max_field_section >= remembered.max_field_section &&
         // The encoder may have begun to use the table: a capacity that was there stays as it was.
         (remembered.qpack_capacity == 0 || qpack_capacity == remembered.qpack_capacity) &&
         qpack_blocked_streams >= remembered.qpack_blocked_streams &&
         extended_connect >= remembered.extended_connect && datagrams >= remembered.datagrams;
}

std::optional<Violation> SettingsParser::take(ByteView payload) {
  while (!payload.empty()) {
    if (!reader_.take(payload)) break;
    if (!have_id_) {
      id_ = reader_.value();
      have_id_ = true;
      continue;
    }
    have_id_ = false;
    Setting setting;
    setting.id = id_;
    setting.value = reader_.value();
    if (auto broken = entry(setting)) return broken;
  }
  return std::nullopt;
}

std::optional<Violation> SettingsParser::finish() const {
  if (!have_id_ && !reader_.partial()) return std::nullopt;
  return Violation{ErrorCode::frame_error,
                   "SETTINGS that ends within a setting (RFC 9114 section 7.1)"};
}

std::optional<Violation> SettingsParser::entry(Setting setting) {
  if (entries_.size() == kMaxEntries) {
    return Violation{ErrorCode::excessive_load,
                     fmt::format("SETTINGS with more than {} settings", kMaxEntries)};
  }
  const auto wrong = [](std::string rule) {
    return Violation{ErrorCode::settings_error, "SETTINGS: " + std::move(rule)};
  };
  const bool seen = std::any_of(entries_.begin(), entries_.end(),
                                [&](const Setting& other) { return other.id == setting.id; });
  if (seen) return wrong(fmt::format("{:#x} twice (RFC 9114 section 7.2.4)", setting.id));
  entries_.push_back(setting);
  switch (setting.id) {
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
      return wrong(fmt::format("{:#x}, which is HTTP/2's (RFC 9114 section 7.2.4.1)", setting.id));
    case kSettingQpackMaxTableCapacity: settings_.qpack_capacity = setting.value; break;
    case kSettingMaxFieldSectionSize: settings_.max_field_section = setting.value; break;
    case kSettingQpackBlockedStreams: settings_.qpack_blocked_streams = setting.value; break;
    case kSettingEnableConnectProtocol:
      if (setting.value > 1) {
        return wrong(fmt::format(
            "ENABLE_CONNECT_PROTOCOL is {}, neither 0 nor 1 (RFC 8441 section 3)", setting.value));
      }
      settings_.extended_connect = setting.value == 1;
      break;
    case kSettingH3Datagram:
      if (setting.value > 1) {
        return wrong(fmt::format("H3_DATAGRAM is {}, neither 0 nor 1 (RFC 9297 section 2.1.1)",
                                 setting.value));
      }
      settings_.datagrams = settings_.datagrams || setting.value == 1;
      break;
    case kSettingH3DatagramDraft:
      settings_.datagrams = settings_.datagrams || setting.value == 1;
      break;
    default:
      if (!is_grease(setting.id)) settings_.others.push_back(setting);
      break;
  }
  return std::nullopt;
}

}  // namespace tern::http3
