#include "webtransport/http2.h"

#include <array>
#include <cstdint>
#include <utility>

#include "http/fallback/session.h"
#include "webtransport/handshake.h"

namespace tern::webtransport {

namespace {

constexpr std::uint16_t kEnabledHttp2 = 0x2b60;

/// SETTINGS_WT_INITIAL_MAX_…
constexpr std::array<std::pair<std::uint16_t, std::uint64_t CapsuleWindows::*>, 6> kWindows{{
    {0x2b61, &CapsuleWindows::data},
    {0x2b62, &CapsuleWindows::stream_data_uni},
    {0x2b63, &CapsuleWindows::stream_data_bidi_local},
    {0x2b64, &CapsuleWindows::streams_uni},
    {0x2b65, &CapsuleWindows::streams_bidi},
    {0x2b66, &CapsuleWindows::stream_data_bidi_remote},
}};

}  // namespace

void enable_http2(fallback::SessionOptions& options) {
  if (!options.extended_connect) return;
  fallback::Setting enabled;
  enabled.id = kEnabledHttp2;
  enabled.value = enabled.peer_limit = 1;
  options.extra_settings.push_back(enabled);
  const CapsuleWindows windows = initial_windows();
  for (const auto& [id, window] : kWindows) {
    fallback::Setting setting;
    setting.id = id;
    setting.value = static_cast<std::uint32_t>(windows.*window);
    options.extra_settings.push_back(setting);
  }
  options.takes_protocol = [others = std::move(options.takes_protocol)](
                               std::string_view protocol, const fallback::Session& session) {
    if (protocol == "webtransport") return session.peer_setting(kEnabledHttp2) == 1;
    return !others || others(protocol, session);
  };
}

CapsuleWindows http2_peer_windows(const http::detail::Ends& ends) {
  CapsuleWindows windows;
  if (ends.protocol() != "h2" || ends.session() == nullptr) return windows;
  const auto* session = static_cast<const fallback::Session*>(ends.session());
  for (const auto& [id, window] : kWindows) {
    windows.*window = session->peer_setting(id).value_or(0);
  }
  return windows;
}

bool http2_keys_are_unique(const http::detail::Ends& ends) {
  if (ends.session() == nullptr) return true;
  const tcp::Stream& stream = static_cast<const fallback::Session*>(ends.session())->stream();
  if (!stream.secure()) return true;
  std::array<std::uint8_t, 16> unused{};
  const Result<void> derived =
      stream.export_keying_material("EXPORTER-WebTransport", ByteView(), unused);
  return derived || !derived.error().is(Code::unsupported);
}

}  // namespace tern::webtransport
