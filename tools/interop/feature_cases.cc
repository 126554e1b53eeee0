#include <chrono>

#include <fmt/format.h>

#include "tools/interop/case_groups.h"
#include "tools/interop/probe.h"

/// What a server announces for protocols above HTTP/3.

namespace tern::interop {

namespace {

struct NamedSetting {
  std::uint64_t id;
  std::string_view name;
};

/// WebTransport over HTTP/3, newest first; servers send several.
constexpr NamedSetting kWebTransport[] = {
    {0x2c7cf000, "WT_ENABLED"},
    {0xc671706a, "WEBTRANSPORT_MAX_SESSIONS"},
    {0x2b603743, "WEBTRANSPORT_MAX_SESSIONS (draft-03)"},
    {0x2b603742, "ENABLE_WEBTRANSPORT (draft-02)"},
};

/// A connection whose server has sent its SETTINGS.
Task<Result<Link*>> with_settings(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected || probe.target().alpn != "h3") co_return connected;
  Link& link = **connected;
  const std::function<bool()> came = [&link] {
    return link.session() != nullptr && link.session()->peer_settings().has_value();
  };
  const bool done = co_await link.until(came, probe.limit() / 2);
  if (done) co_return &link;
  co_return fail(link.end() ? *link.end() : Error(Code::timed_out, "no SETTINGS came"));
}

}  // namespace

Task<Verdict> datagrams(Probe& probe) {
  Result<Link*> connected = co_await with_settings(probe);
  if (!connected) co_return Verdict::because("SETTINGS", connected.error());
  Link& link = **connected;
  const JsonValue* peer = link.qlog().peer_parameters();
  const std::uint64_t size = peer != nullptr ? peer->count_of("max_datagram_frame_size") : 0;
  probe.note("max_datagram_frame_size", size);
  if (link.session() == nullptr) {
    co_return size > 0 ? Verdict::pass(fmt::format("QUIC DATAGRAM frames up to {} bytes", size))
                       : Verdict::unsupported("no max_datagram_frame_size");
  }
  const bool http = link.session()->peer_settings()->datagrams;
  probe.note("SETTINGS_H3_DATAGRAM", http ? 1U : 0U);
  if (size > 0 && http) {
    co_return Verdict::pass(fmt::format("HTTP datagrams, frames up to {} bytes", size));
  }
  if (http) {
    co_return Verdict::fail(
        "SETTINGS_H3_DATAGRAM without max_datagram_frame_size (RFC 9297 §2.1.1)");
  }
  co_return Verdict::unsupported(size > 0 ? "QUIC DATAGRAM frames, but no SETTINGS_H3_DATAGRAM"
                                          : "neither DATAGRAM frames nor SETTINGS_H3_DATAGRAM");
}

Task<Verdict> extended_connect(Probe& probe) {
  Result<Link*> connected = co_await with_settings(probe);
  if (!connected) co_return Verdict::because("SETTINGS", connected.error());
  const bool on = (*connected)->session()->peer_settings()->extended_connect;
  probe.note("SETTINGS_ENABLE_CONNECT_PROTOCOL", on ? 1U : 0U);
  co_return on ? Verdict::pass("announced (RFC 9220)") : Verdict::unsupported("not announced");
}

Task<Verdict> webtransport(Probe& probe) {
  Result<Link*> connected = co_await with_settings(probe);
  if (!connected) co_return Verdict::because("SETTINGS", connected.error());
  const http3::Settings& settings = *(*connected)->session()->peer_settings();
  std::string names;
  for (const NamedSetting& known : kWebTransport) {
    const auto value = settings.other(known.id);
    if (!value || *value == 0) continue;
    probe.note(known.name, *value);
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  if (names.empty()) co_return Verdict::unsupported("not announced");
  if (!settings.extended_connect) {
    co_return Verdict::fail(names + " without SETTINGS_ENABLE_CONNECT_PROTOCOL");
  }
  co_return Verdict::pass(names);
}

}  // namespace tern::interop
