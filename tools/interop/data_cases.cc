#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "tools/interop/case_groups.h"
#include "tools/interop/probe.h"

/// Streams, HTTP/3, and coming back with what the server gave the first time.

namespace tern::interop {

using namespace std::chrono_literals;

namespace {

/// Requests at once on one connection.
constexpr std::size_t kParallel = 4;
/// What the throughput case downloads, once.
constexpr std::uint64_t kDownload = 5'000'000;
/// How long a ticket may come after the first response.
constexpr Duration kTicketPatience = 2s;

/// Requests that run at the same time, and what became of them.
struct Batch {
  explicit Batch(Runtime& runtime) : done(runtime) {}
  std::vector<std::optional<Result<Answer>>> answers{kParallel};
  std::size_t left = kParallel;
  Signal done;
};

Task<void> fetch(Link& link, std::string target, Batch& batch, std::size_t number) {
  Result<Answer> answer = co_await link.get(std::move(target));
  batch.answers[number].emplace(std::move(answer));
  if (--batch.left == 0) batch.done.notify();
}

/// The first connection of a pair: fetches, and keeps the newest ticket.
Task<Result<quic::Session>> fetch_ticket(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return fail(connected.error());
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return fail(answer.error());
  const std::function<bool()> came = [&link] { return !link.sessions().empty(); };
  const bool has = co_await link.until(came, kTicketPatience);
  if (!has) co_return fail(Error(Code::unsupported, "no session ticket came"));
  // BoringSSL gives the application state with it once the server's SETTINGS are known.
  co_return std::move(link.sessions().back());
}

}  // namespace

Task<Verdict> stream_data(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  Batch batch(probe.runtime());
  Scope scope(probe.runtime().ready());
  for (std::size_t i = 0; i < kParallel; ++i) {
    scope.spawn(fetch(link, probe.target().url.target(), batch, i));
  }
  co_await batch.done.wait();
  std::uint64_t bytes = 0;
  for (const auto& answer : batch.answers) {
    if (!*answer) co_return Verdict::because("one of four requests at once", answer->error());
    bytes += (*answer)->bytes;
  }
  probe.note("streams at once", kParallel);
  probe.note("body bytes", bytes);
  probe.note("STREAM frames received", link.qlog().frames_received("stream"));
  co_return Verdict::pass(fmt::format("{} responses at once, {} bytes", kParallel, bytes));
}

Task<Verdict> http3_requests(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("GET", answer.error());
  const std::function<bool()> came = [&link] {
    return link.session() != nullptr && link.session()->peer_settings().has_value();
  };
  const bool has_settings = co_await link.until(came, probe.limit() / 2);
  if (!has_settings) {
    co_return Verdict::fail("no SETTINGS frame came (RFC 9114 §6.2.1)");
  }
  probe.note("status", static_cast<std::uint64_t>(answer->status));
  probe.note("body bytes", answer->bytes);
  if (!answer->server.empty()) probe.note("server", answer->server);
  const http3::Settings& settings = *link.session()->peer_settings();
  probe.note("qpack capacity", settings.qpack_capacity);
  if (settings.max_field_section != kMaxVarint) {
    probe.note("max field section", settings.max_field_section);
  }
  co_return Verdict::pass(fmt::format("status {}, {} bytes{}{}", answer->status, answer->bytes,
                                      answer->cut ? " read of more" : "",
                                      answer->server.empty() ? "" : ", server: " + answer->server));
}

Task<Verdict> qpack_dynamic_table(Probe& probe) {
  constexpr int kRequests = 4;
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  // The same in every request, so that it is worth an entry of the table.
  link.add_field("x-tern-interop", "a field that is sent again and again");
  for (int i = 0; i < kRequests; ++i) {
    Result<Answer> answer = co_await link.get(probe.target().url.target());
    if (!answer) co_return Verdict::because("a request", answer.error());
  }
  const auto& qlog = link.qlog();
  const std::uint64_t own_inserts = qlog.own_stream_bytes("qpack_encode");
  const std::uint64_t inserts = qlog.peer_stream_bytes("qpack_encode");
  const std::uint64_t feedback = qlog.peer_stream_bytes("qpack_decode");
  std::uint64_t capacity = 0;
  if (link.session() != nullptr && link.session()->peer_settings()) {
    capacity = link.session()->peer_settings()->qpack_capacity;
  }
  probe.note("requests", kRequests);
  probe.note("server's table capacity", capacity);
  probe.note("our encoder stream, bytes", own_inserts);
  probe.note("server's decoder stream, bytes", feedback);
  probe.note("server's encoder stream, bytes", inserts);
  if (feedback > 0 && inserts > 0) co_return Verdict::pass("used in both directions");
  if (feedback > 0) co_return Verdict::pass("used for requests, not for responses");
  if (inserts > 0) co_return Verdict::pass("used for responses, not for requests");
  if (capacity == 0) {
    co_return Verdict::unsupported("the server allows no dynamic table, and uses none");
  }
  co_return Verdict::unsupported(
      fmt::format("the server allows {} bytes, and acknowledged no entry", capacity));
}

Task<Verdict> throughput(Probe& probe) {
  std::string target = probe.target().throughput;
  const std::size_t mark = target.find(Target::kSizeMark);
  if (mark == std::string::npos) {
    co_return Verdict::not_applicable("no path of a large file is known");
  }
  target.replace(mark, Target::kSizeMark.size(), std::to_string(kDownload));
  LinkSettings settings = probe.settings();
  settings.facts = false;
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  const Timestamp begun = probe.runtime().now();
  Result<Answer> answer = co_await link.get(std::move(target), kDownload);
  if (!answer) co_return Verdict::because("the download", answer.error());
  const double seconds = std::chrono::duration<double>(probe.runtime().now() - begun).count();
  const quic::ConnectionStats stats = link.stats();
  probe.note("status", static_cast<std::uint64_t>(answer->status));
  probe.note("bytes", answer->bytes);
  probe.note("seconds", fmt::format("{:.3f}", seconds));
  probe.note("smoothed RTT",
             fmt::format("{:.1f} ms",
                         std::chrono::duration<double, std::milli>(stats.smoothed_rtt).count()));
  if (answer->bytes != kDownload || answer->cut) {
    co_return Verdict::fail(fmt::format("status {} and {} bytes instead of {}", answer->status,
                                        answer->bytes, kDownload));
  }
  co_return Verdict::pass(
      fmt::format("{:.1f} Mbit/s over 5 MB", static_cast<double>(kDownload) * 8e-6 / seconds));
}

Task<Verdict> resumption(Probe& probe) {
  Result<quic::Session> ticket = co_await fetch_ticket(probe);
  if (!ticket) {
    if (ticket.error().is(Code::unsupported)) {
      co_return Verdict::unsupported(ticket.error().detail);
    }
    co_return Verdict::because("the first connection", ticket.error());
  }
  probe.note("ticket allows 0-RTT", ticket->early_data ? "yes" : "no");
  probe.note("address token", ticket->token.empty() ? "none" : "yes");
  LinkSettings settings = probe.settings();
  settings.session = std::move(*ticket);
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) co_return Verdict::because("the second connection", connected.error());
  Link& link = **connected;
  const bool resumed = link.info().resumed;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request after it", answer.error());
  probe.note("resumed", resumed ? "yes" : "no");
  if (!resumed) co_return Verdict::fail("gave a ticket and did not take it");
  co_return Verdict::pass("the second handshake used the first one's ticket");
}

Task<Verdict> zero_rtt(Probe& probe) {
  Result<quic::Session> ticket = co_await fetch_ticket(probe);
  if (!ticket) {
    if (ticket.error().is(Code::unsupported)) {
      co_return Verdict::unsupported(ticket.error().detail);
    }
    co_return Verdict::because("the first connection", ticket.error());
  }
  if (!ticket->early_data) co_return Verdict::unsupported("the ticket allows no 0-RTT");
  LinkSettings settings = probe.settings();
  settings.session = std::move(*ticket);
  settings.early_data = true;
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) co_return Verdict::because("the second connection", connected.error());
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request in 0-RTT", answer.error());
  Result<void> complete = co_await link.handshake();
  if (!complete) co_return Verdict::because("the second handshake", complete.error());
  const quic::HandshakeInfo info = link.info();
  probe.note("0-RTT packets sent", link.qlog().packets_sent("0RTT"));
  probe.note("status", static_cast<std::uint64_t>(answer->status));
  probe.note("accepted", info.early_data_accepted ? "yes" : "no");
  if (!info.resumed) co_return Verdict::fail("gave a ticket and did not take it");
  if (!info.early_data_accepted) {
    co_return Verdict::unsupported("the ticket allows 0-RTT, which the server then refused");
  }
  if (!answer->early || link.qlog().packets_sent("0RTT") == 0) {
    co_return Verdict::fail("the request did not leave in 0-RTT: nothing was tried");
  }
  if (answer->status == 425) {
    co_return Verdict::pass("accepted; the request was answered 425 (RFC 8470)");
  }
  co_return Verdict::pass("the request went in 0-RTT, and was answered");
}

}  // namespace tern::interop
