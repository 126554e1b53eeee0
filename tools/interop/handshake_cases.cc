#include <chrono>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/varint.h"
#include "tools/interop/case_groups.h"
#include "tools/interop/probe.h"
#include "tools/interop/raw_request.h"
#include "tools/interop/version_probe.h"

/// Handshakes: with other versions, ciphers and ClientHellos, and how a connection ends.

namespace tern::interop {

using namespace std::chrono_literals;

namespace {

/// A reserved transport parameter (RFC 9000 §18.1), encoded: 31 N + 27, `size` bytes of value.
std::vector<std::uint8_t> reserved_parameter(Random& random, std::size_t size) {
  std::vector<std::uint8_t> encoded(2 * kMaxVarintSize + size);
  std::uint8_t* out = write_varint(encoded.data(), 31 * random.below(1U << 20) + 27);
  out = write_varint(out, size);
  const auto head = static_cast<std::size_t>(out - encoded.data());
  random.fill(MutableBytes(out, size));
  encoded.resize(head + size);
  return encoded;
}

std::uint32_t reserved_version(Random& random) {
  return 0x0a0a0a0a | (static_cast<std::uint32_t>(random.next()) & 0xf0f0f0f0);
}

std::string version_name(std::uint32_t version) {
  if (version == quic::kVersion1) return "v1";
  if (version == quic::kVersion2) return "v2";
  constexpr std::uint32_t kDraft = 0xff000000;
  if ((version & 0xffffff00) == kDraft) return fmt::format("draft-{:02}", version & 0xff);
  constexpr std::uint32_t kVersion2Draft = 0x709a50c4;
  if (version == kVersion2Draft) return "v2 (draft)";
  return fmt::format("{:#010x}", version);
}

/// How often an end of what a server sends is waited for.
constexpr int kListens = 3;

std::string milliseconds(Duration duration) {
  return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(duration).count());
}

void note_handshake(Probe& probe, const Link& link) {
  const quic::HandshakeInfo info = link.info();
  probe.note("version", version_name(info.version));
  probe.note("alpn", info.alpn);
  probe.note("cipher", info.cipher);
  if (!info.group.empty()) probe.note("group", info.group);
  if (!info.peer_certificate_subject.empty()) {
    probe.note("certificate", info.peer_certificate_subject);
  }
  probe.note("handshake time", milliseconds(link.handshake_time()));
}

}  // namespace

Task<Verdict> version_negotiation(Probe& probe) {
  Result<VersionAnswer> answer =
      co_await probe_versions(probe.runtime(), probe.network(), probe.remote());
  if (!answer) co_return Verdict::because("version negotiation", answer.error());
  std::vector<std::string> names;
  for (const std::uint32_t version : answer->versions) {
    const bool reserved = (version & 0x0f0f0f0f) == 0x0a0a0a0a;
    names.push_back(reserved ? "a reserved one" : version_name(version));
  }
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  probe.note("asked for", fmt::format("{:#010x}", answer->asked));
  probe.note("versions", list);
  probe.note("datagrams sent", answer->datagrams_sent);
  co_return Verdict::pass("offers " + list);
}

Task<Verdict> handshake(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  note_handshake(probe, link);
  const std::function<bool()> confirmed = [&link] { return link.confirmed(); };
  const bool done = co_await link.until(confirmed, probe.limit() / 2);
  if (!done) {
    if (link.end()) co_return Verdict::because("after the handshake", *link.end());
    co_return Verdict::fail("complete, but never confirmed by HANDSHAKE_DONE (RFC 9001 §4.1.2)");
  }
  const quic::HandshakeInfo info = link.info();
  co_return Verdict::pass(fmt::format("{}, {}, {}{}", version_name(info.version), info.cipher,
                                      info.group, info.retried ? ", after Retry" : ""));
}

Task<Verdict> closing(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer && link.end()) co_return Verdict::because("a request", *link.end());
  const quic::ConnectionStats stats = link.stats();
  const Duration pto = stats.smoothed_rtt + 4 * stats.rtt_variation + 25ms;
  link.say_close();
  // What is on its way still comes, and more from a server that is busy with others; then one that
  // has understood is silent. One that has not would probe for acknowledgements, each time after
  // twice as long (RFC 9002 §6.2): so is listened for that.
  co_await probe.runtime().sleep(stats.smoothed_rtt + 50ms);
  Duration silence = std::max<Duration>(4 * pto, 300ms);
  std::uint64_t late = 0;
  std::uint64_t last = 0;
  for (int listens = 0; listens < kListens; ++listens) {
    if (listens > 0) silence *= 2;
    if (listens > 0 && silence > probe.limit() / 3) break;  // else the case times out
    const std::uint64_t before = link.wire().received;
    co_await probe.runtime().sleep(silence);
    last = link.wire().received - before;
    late += last;
    if (last == 0) break;
  }
  probe.note("silent for", milliseconds(last == 0 ? silence : Duration()));
  probe.note("datagrams after the close", late);
  if (last > 0) {
    co_return Verdict::fail(
        fmt::format("{} datagrams came more than a round trip after our CONNECTION_CLOSE, and no "
                    "end of them",
                    late));
  }
  co_return Verdict::pass("silent after our CONNECTION_CLOSE");
}

Task<Verdict> retry(Probe& probe) {
  LinkSettings settings = probe.settings();
  const auto& other = probe.target().retry;
  if (other) {
    settings.remote.set_port(other->port());
    settings.authority = other->authority();
    probe.note("port", other->port());
  }
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  const Link& link = **connected;
  probe.note("Retry packets", link.qlog().packets_received("retry"));
  if (link.info().retried) {
    co_return Verdict::pass("Retry, and the handshake with its token");
  }
  co_return Verdict::unsupported(other ? "no Retry, though that port is said to ask for it"
                                       : "no Retry: the server asks for it under load, if at all");
}

Task<Verdict> large_client_hello(Probe& probe) {
  constexpr std::size_t kSize = 1300;  // more than a datagram has room for
  LinkSettings settings = probe.settings();
  settings.more_parameters = reserved_parameter(probe.runtime().random(), kSize);
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) co_return Verdict::because("the handshake", connected.error());
  Link& link = **connected;
  probe.note("Initial datagrams sent", link.wire().initials_sent);
  if (link.wire().initials_sent < 2) {
    co_return Verdict::fail("the ClientHello went in one datagram: nothing was tried");
  }
  co_return Verdict::pass(
      fmt::format("ClientHello with a parameter of {} bytes, in two datagrams", kSize));
}

Task<Verdict> version_2(Probe& probe) {
  LinkSettings settings = probe.settings();
  settings.transport.versions.assign(1, quic::kVersion2);
  settings.transport.first_version = quic::kVersion2;
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) {
    if (connected.error().is(Code::version)) {
      co_return Verdict::unsupported("answered by Version Negotiation");
    }
    co_return Verdict::because("the handshake in version 2", connected.error());
  }
  const std::uint32_t direct = (*connected)->info().version;
  LinkSettings compatible = probe.settings();
  compatible.transport.versions = {quic::kVersion2, quic::kVersion1};
  compatible.transport.first_version = quic::kVersion1;
  Result<Link*> second = co_await probe.connect(std::move(compatible));
  if (!second) co_return Verdict::because("version 1 with version 2 on offer", second.error());
  const bool upgraded = (*second)->info().version == quic::kVersion2;
  probe.note("first flight in v2", version_name(direct));
  probe.note("first flight in v1, v2 preferred", version_name((*second)->info().version));
  if (direct != quic::kVersion2) co_return Verdict::fail("the server went back to another version");
  co_return Verdict::pass(upgraded ? "v2; moves clients of v1 to it (RFC 9368)"
                                   : "v2; clients that begin with v1 stay there");
}

Task<Verdict> chacha20(Probe& probe) {
  LinkSettings settings = probe.settings();
  settings.context = probe.setting().chacha20_context;
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected) {
    const Error& error = connected.error();
    constexpr std::uint64_t kHandshakeFailure = 40;
    if (error.domain == Domain::tls && error.origin == Origin::remote &&
        error.code == kHandshakeFailure) {
      co_return Verdict::unsupported("the server refuses: " + error.detail);
    }
    co_return Verdict::because("the handshake", error);
  }
  const std::string cipher = (*connected)->info().cipher;
  probe.note("cipher", cipher);
  if (cipher.find("CHACHA20") == std::string::npos) {
    co_return Verdict::fail("the server chose " + cipher + ", which was not on offer");
  }
  Result<Answer> answer = co_await (*connected)->get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request", answer.error());
  co_return Verdict::pass(cipher);
}

Task<Verdict> grease(Probe& probe) {
  Random& random = probe.runtime().random();
  LinkSettings settings = probe.settings();
  settings.more_parameters = reserved_parameter(random, 16);
  settings.reserved_version = reserved_version(random);
  probe.note("reserved version", fmt::format("{:#010x}", settings.reserved_version));
  Result<Link*> connected = co_await probe.connect(std::move(settings));
  if (!connected)
    co_return Verdict::because("the handshake with reserved values", connected.error());
  Link& link = **connected;
  if (const JsonValue* peer = link.qlog().peer_parameters()) {
    const JsonValue* bit = peer->find("grease_quic_bit");
    const bool greased = bit != nullptr && bit->flag().value_or(false);
    probe.note("grease_quic_bit", greased ? "announced by the server" : "not announced");
  }
  if (link.session() == nullptr) {
    Result<Answer> answer = co_await link.get(probe.target().url.target());
    if (!answer) co_return Verdict::because("a request", answer.error());
    co_return Verdict::pass("a reserved transport parameter and version are ignored");
  }
  // RFC 9114 §7.2.8 and §6.2.3: a stream of a reserved type, and a frame of one before the request.
  // Many servers allow the three streams that HTTP/3 needs, and no fourth.
  const bool stray = link.send_raw(reserved_stream(random), true).has_value();
  probe.note("reserved stream", stray ? "sent" : "not sent: the server allows no more streams");
  Bytes frames =
      request_after_reserved_frame(random, probe.target().url.authority(),
                                   probe.target().url.target(), probe.setting().user_agent);
  const auto request = link.send_raw(std::move(frames), false);
  if (!request) co_return Verdict::because("a stream", request.error());
  const std::function<bool()> ended = [&link] { return link.raw_ended(); };
  const bool done = co_await link.until(ended, probe.limit());
  if (!done) {
    if (link.end()) co_return Verdict::because("reserved frames and streams", *link.end());
    co_return Verdict::fail("no answer to a request with a reserved frame before it");
  }
  if (!has_headers_frame(link.raw())) {
    co_return Verdict::fail("a request with a reserved frame before it was refused");
  }
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request after them", answer.error());
  co_return Verdict::pass(
      fmt::format("a reserved transport parameter, version, setting{} and frame are ignored",
                  stray ? ", stream" : ""));
}

}  // namespace tern::interop
