#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/varint.h"
#include "http3/violation.h"

namespace tern::http3 {

/// Identifiers of settings (RFC 9114 §7.2.4.1, RFC 9204 §5, RFC 9220, RFC 9297).
inline constexpr std::uint64_t kSettingQpackMaxTableCapacity = 0x01;
inline constexpr std::uint64_t kSettingMaxFieldSectionSize = 0x06;
inline constexpr std::uint64_t kSettingQpackBlockedStreams = 0x07;
inline constexpr std::uint64_t kSettingEnableConnectProtocol = 0x08;
inline constexpr std::uint64_t kSettingH3Datagram = 0x33;
/// The identifier of the drafts before RFC 9297; some WebTransport peers know no other.
inline constexpr std::uint64_t kSettingH3DatagramDraft = 0xffd277;

/// One entry of a SETTINGS frame.
struct Setting {
  std::uint64_t id = 0;
  std::uint64_t value = 0;
  friend bool operator==(const Setting&, const Setting&) = default;
};

/// What one side announced in its SETTINGS frame; the defaults are those of a frame without
/// entries.
struct Settings {
  std::uint64_t max_field_section = kMaxVarint;  ///< bytes, RFC 9114 §4.2.2; kMaxVarint: unlimited
  std::uint64_t qpack_capacity = 0;
  std::uint64_t qpack_blocked_streams = 0;
  bool extended_connect = false;  ///< RFC 9220
  bool datagrams = false;         ///< RFC 9297
  /// Everything else but reserved (grease) entries, in the order it came: extensions such as
  /// WebTransport look here.
  std::vector<Setting> others;

  std::optional<std::uint64_t> other(std::uint64_t id) const noexcept;

  /// The SETTINGS frame, header included. Values that are the default are left out.
  std::vector<std::uint8_t> frame() const;

  /// A versioned form for `quic::Session::application`. `deserialize` takes what `serialize` made,
  /// in this or an earlier version, and nothing else.
  std::vector<std::uint8_t> serialize() const;
  static Result<Settings> deserialize(ByteView bytes);

  /// RFC 9114 §7.2.4.2, RFC 9204 §3.2.3: a server that accepts 0-RTT may not take back what it had
  /// promised in `remembered`.
  bool keeps_promise_of(const Settings& remembered) const noexcept;

  friend bool operator==(const Settings&, const Settings&) = default;
};

/// Reads the payload of one SETTINGS frame, however it is cut.
class SettingsParser {
 public:
  /// More entries than any peer sends; beyond it H3_EXCESSIVE_LOAD.
  static constexpr std::size_t kMaxEntries = 64;

  /// Takes the next piece. H3_SETTINGS_ERROR is for what no frame may hold (RFC 9114 §7.2.4: twice
  /// the same, HTTP/2's, values out of range).
  std::optional<Violation> take(ByteView payload);
  /// The frame ends here: H3_FRAME_ERROR in the middle of an entry.
  std::optional<Violation> finish() const;
  const Settings& settings() const noexcept { return settings_; }
  /// Every entry in its order, grease included, for qlog.
  const std::vector<Setting>& entries() const noexcept { return entries_; }
  /// Frees them, once the frame has ended.
  void forget_entries() noexcept { std::vector<Setting>().swap(entries_); }

 private:
  std::optional<Violation> entry(Setting setting);

  VarintReader reader_;
  std::uint64_t id_ = 0;
  bool have_id_ = false;
  std::vector<Setting> entries_;
  Settings settings_;
};

}  // namespace tern::http3
