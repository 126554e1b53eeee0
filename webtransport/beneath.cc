#include "webtransport/beneath.h"

#include <chrono>
#include <cstdint>
#include <string>

#include "http/fallback/session.h"
#include "http3/session.h"

namespace tern::webtransport {

namespace {

constexpr std::string_view kLabel = "EXPORTER-WebTransport";
/// Their lengths have one byte each in the context.
constexpr std::size_t kMaxPart = 255;

void append(std::string& out, std::string_view part) {
  out.push_back(static_cast<char>(part.size()));
  out.append(part);
}

/// The WebTransport Exporter Context.
std::string exporter_context(std::uint64_t session, std::string_view label, ByteView context) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(session >> shift & 0xff));
  }
  append(out, label);
  append(out, as_text(context));
  return out;
}

void set(SessionStats& stats, Duration round_trip, std::uint64_t window) noexcept {
  stats.round_trip = round_trip;
  const double seconds = std::chrono::duration<double>(round_trip).count();
  if (seconds > 0) {
    stats.bandwidth = static_cast<std::uint64_t>(static_cast<double>(window) / seconds);
  }
}

}  // namespace

Result<void> export_keying_material(const http::detail::Ends& ends, std::string_view label,
                                    ByteView context, MutableBytes out) {
  if (label.empty() || label.size() > kMaxPart || context.size() > kMaxPart) {
    return fail(Error::invalid(
        "a session's keying material has a label of 1 to 255 bytes and a context of at most 255"));
  }
  const http::Session* const connection = ends.session();
  if (connection == nullptr) return fail(Error::closed("the session's connection has ended"));
  // HTTP/1.1 has no streams: there is one session on the connection.
  const std::int64_t stream = ends.stream_id();
  const auto id = static_cast<std::uint64_t>(stream < 0 ? 0 : stream);
  const std::string whole = exporter_context(id, label, context);
  return connection->export_keying_material(kLabel, as_bytes(whole), out);
}

void measure(const http::detail::Ends& ends, SessionStats& stats) {
  http::Session* const connection = ends.session();
  if (connection == nullptr) return;
  if (ends.protocol() == "h3") {
    const quic::ConnectionStats known =
        static_cast<http3::Session*>(connection)->connection().stats();
    set(stats, known.smoothed_rtt, known.congestion_window);
  } else {
    const tcp::StreamInfo known = static_cast<fallback::Session*>(connection)->stream().info();
    set(stats, known.rtt, known.congestion_window);
  }
}

}  // namespace tern::webtransport
