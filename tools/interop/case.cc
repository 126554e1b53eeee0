#include "tools/interop/case.h"

#include <array>

#include "http3/error_code.h"
#include "tools/interop/case_groups.h"

namespace tern::interop {
namespace {

constexpr std::array kCases = {
    // ---- handshake
    Case{'V', "version-negotiation", "Version negotiation",
         "Sends a 1200-byte datagram of a reserved version, at most three times, without a "
         "connection",
         "A Version Negotiation packet with our connection IDs swapped and a list of versions "
         "without ours (RFC 9000 §6)",
         Group::handshake, false, false, 1, version_negotiation},
    Case{'H', "handshake", "Handshake", "Opens a connection in version 1",
         "The handshake completes, the certificate is trusted, and HANDSHAKE_DONE confirms it",
         Group::handshake, true, false, 1, handshake},
    Case{'C', "close", "Close", "Closes a connection right after a response",
         "Nothing comes any more a round trip later: the server drains (RFC 9000 §10.2)",
         Group::handshake, true, false, 1, closing},
    Case{'S', "retry", "Retry", "Connects to the port that asks for address validation, if known",
         "A Retry packet comes, and the handshake completes with its token (RFC 9000 §8.1.2)",
         Group::handshake, false, false, 1, retry},
    Case{'Q', "large-client-hello", "Large ClientHello",
         "Sends a ClientHello of more than a datagram, by a reserved transport parameter of 1300 "
         "bytes",
         "The handshake completes, with two Initial datagrams sent (RFC 9001 §4.3)",
         Group::handshake, true, false, 1, large_client_hello},
    Case{'2', "version-2", "QUIC version 2",
         "Connects in version 2; then in version 1 with version 2 preferred",
         "The first handshake completes in version 2 (RFC 9369); the second tells whether the "
         "server moves clients to it (RFC 9368)",
         Group::handshake, false, false, 1, version_2},
    Case{'c', "chacha20", "ChaCha20 only", "Offers TLS_CHACHA20_POLY1305_SHA256 alone",
         "The handshake completes with it, and a request is answered", Group::handshake, false,
         false, 1, chacha20},
    Case{'G', "grease", "Grease",
         "Sends a reserved transport parameter and version and, on HTTP/3, a reserved setting, "
         "stream and frame",
         "All are ignored: the handshake completes and requests are answered (RFC 9000 §18.1, "
         "RFC 9114 §7.2.8)",
         Group::handshake, true, false, 1, grease},
    // ---- data
    Case{'D', "stream-data", "Stream data", "Sends four requests at once on one connection",
         "Four complete responses, on four streams", Group::data, true, false, 1, stream_data},
    Case{'3', "http3", "HTTP/3", "Sends a GET over HTTP/3",
         "SETTINGS and a complete, well-formed response (RFC 9114)", Group::data, true, true, 1,
         http3_requests},
    Case{'d', "qpack", "QPACK dynamic table",
         "Sends four requests with the same fields, one after the other",
         "Bytes on the server's QPACK decoder stream (it took our entries) or encoder stream (it "
         "sent some of its own)",
         Group::data, false, true, 1, qpack_dynamic_table},
    Case{'T', "throughput", "Throughput", "Downloads 5 MB once, where a path for that is known",
         "All bytes came; the rate is reported", Group::data, false, false, 3, throughput},
    Case{'R', "resumption", "Resumption", "Connects, takes the ticket, closes, connects again",
         "The second handshake is resumed: no certificate (RFC 8446 §2.2)", Group::data, false,
         false, 1, resumption},
    Case{'Z', "zero-rtt", "0-RTT", "As R, with a GET in the second connection's first flight",
         "The request left in 0-RTT packets, the server accepted them and answered", Group::data,
         false, false, 1, zero_rtt},
    // ---- keys and paths
    Case{'U', "key-update", "Key update", "Updates the keys, and sends a request",
         "It is answered, in packets of the next keys (RFC 9001 §6)", Group::paths, true, false, 1,
         key_update},
    Case{'M', "cid-change", "Connection ID change",
         "Migrates to a new local port, with another of the server's connection IDs",
         "The server validates the path, answers there, and sends to another connection ID of ours "
         "(RFC 9000 §9.5)",
         Group::paths, false, false, 1, cid_change},
    Case{'B', "nat-rebinding", "NAT rebinding",
         "Continues from another port, as after a NAT's time-out, with the same connection IDs",
         "A request is answered there, and PATH_CHALLENGE came (RFC 9000 §9.3)", Group::paths,
         false, false, 1, nat_rebinding},
    Case{'A', "address-mobility", "Address mobility",
         "Migrates to another of this host's addresses, where one reaches the server",
         "The server validates the path and answers there (RFC 9000 §9)", Group::paths, false,
         false, 1, address_mobility},
    Case{'F', "preferred-address", "Preferred address",
         "Follows the server's preferred_address, if it has one",
         "The address answers PATH_CHALLENGE, and a request there (RFC 9000 §9.6)", Group::paths,
         false, false, 1, preferred_address},
    Case{'E', "ecn", "ECN", "Marks its packets ECT(0)",
         "The server's ACK frames count the marks (RFC 9000 §13.4)", Group::paths, false, false, 1,
         ecn},
    // ---- features
    Case{'g', "datagram", "Datagrams", "Reads the transport parameters and SETTINGS",
         "max_datagram_frame_size and, on HTTP/3, SETTINGS_H3_DATAGRAM (RFC 9221, RFC 9297)",
         Group::features, false, false, 1, datagrams},
    Case{'X', "extended-connect", "Extended CONNECT", "Reads SETTINGS",
         "SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220)", Group::features, false, true, 1,
         extended_connect},
    Case{'W', "webtransport", "WebTransport", "Reads SETTINGS",
         "A WebTransport setting of any draft, with extended CONNECT", Group::features, false, true,
         1, webtransport},
};

}  // namespace

std::string_view name(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::unsupported: return "unsupported";
    case Outcome::not_applicable: return "not applicable";
    case Outcome::timed_out: return "timed out";
    case Outcome::not_run: break;
  }
  return "not run";
}

Verdict Verdict::because(std::string_view what, const Error& error) {
  std::string text(what);
  text += ": ";
  const std::string_view h3_name = error.domain == Domain::application
                                       ? http3::name(static_cast<http3::ErrorCode>(error.code))
                                       : std::string_view();
  if (!h3_name.empty()) {
    text += h3_name;
    if (error.origin == Origin::remote) text += " from the server";
    if (!error.detail.empty() && error.detail != h3_name) text += ", " + error.detail;
  } else {
    text += error.domain == Domain::tern ? error.detail : error.to_string();
  }
  Verdict verdict;
  verdict.outcome = error.is(Code::timed_out) ? Outcome::timed_out : Outcome::fail;
  verdict.text = std::move(text);
  verdict.error = error;
  return verdict;
}

std::span<const Case> cases() noexcept { return kCases; }

const Case* find_case(std::string_view letter_or_name) noexcept {
  for (const Case& known : kCases) {
    if (known.name == letter_or_name ||
        (letter_or_name.size() == 1 && known.letter == letter_or_name[0])) {
      return &known;
    }
  }
  return nullptr;
}

}  // namespace tern::interop
