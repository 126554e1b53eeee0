#include "gateway/handover_message.h"

#include <algorithm>
#include <cstring>

namespace tern::handover {

namespace {

/// Family, port, IP, scope: udp::Address's own layout may change with the version.
constexpr std::size_t kAddress = 23;
constexpr std::size_t kMaxHandshakeMessage = 32 * 1024;

void write_address(const udp::Address& address, std::uint8_t* out) noexcept {
  std::memset(out, 0, kAddress);
  if (!address.specified()) return;
  out[0] = address.is_v4() ? 4 : 6;
  out[1] = static_cast<std::uint8_t>(address.port() >> 8);
  out[2] = static_cast<std::uint8_t>(address.port() & 0xff);
  std::memcpy(out + 3, address.ip().data(), address.ip().size());
  if (address.is_v6()) {
    std::memcpy(out + 19, &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_scope_id, 4);
  }
}

udp::Address read_address(const std::uint8_t* in) noexcept {
  const auto port = static_cast<std::uint16_t>(in[1] << 8 | in[2]);
  if (in[0] == 4) {
    return udp::Address::v4(static_cast<std::uint32_t>(in[3]) << 24 |
                                static_cast<std::uint32_t>(in[4]) << 16 |
                                static_cast<std::uint32_t>(in[5]) << 8 | in[6],
                            port);
  }
  if (in[0] != 6) return {};
  in6_addr ip;
  std::memcpy(&ip, in + 3, sizeof ip);
  std::uint32_t scope;
  std::memcpy(&scope, in + 19, sizeof scope);
  return udp::Address::v6(ip, port, scope);
}

}  // namespace

std::vector<std::uint8_t> message(Kind kind, ByteView body) {
  std::vector<std::uint8_t> bytes{static_cast<std::uint8_t>(kind)};
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

std::optional<Kind> kind_of(ByteView message) noexcept {
  constexpr std::string_view kKinds = "HSLCKOTRIYDBPF";
  if (message.empty() || kKinds.find(static_cast<char>(message[0])) == std::string_view::npos) {
    return std::nullopt;
  }
  return static_cast<Kind>(message[0]);
}

std::array<std::uint8_t, kDatagramHead> datagram_head(const udp::Path& path,
                                                      udp::Ecn ecn) noexcept {
  std::array<std::uint8_t, kDatagramHead> head;
  head[0] = static_cast<std::uint8_t>(Kind::datagram);
  head[1] = static_cast<std::uint8_t>(ecn);
  write_address(path.local, head.data() + 2);
  write_address(path.remote, head.data() + 2 + kAddress);
  return head;
}

std::optional<Datagram> read_datagram(ByteView message) noexcept {
  if (message.size() <= kDatagramHead) return std::nullopt;
  Datagram datagram;
  datagram.ecn = static_cast<udp::Ecn>(message[1] & 3);
  datagram.path.local = read_address(message.data() + 2);
  datagram.path.remote = read_address(message.data() + 2 + kAddress);
  datagram.bytes = message.subspan(kDatagramHead);
  if (!datagram.path.local.specified() || !datagram.path.remote.specified()) return std::nullopt;
  return datagram;
}

std::vector<std::uint8_t> addresses_message(Kind kind, const std::vector<udp::Address>& addresses) {
  std::vector<std::uint8_t> bytes{static_cast<std::uint8_t>(kind)};
  for (const udp::Address& address : addresses) {
    bytes.resize(bytes.size() + kAddress);
    write_address(address, bytes.data() + bytes.size() - kAddress);
  }
  return bytes;
}

std::vector<udp::Address> read_addresses(ByteView message) {
  std::vector<udp::Address> addresses;
  for (std::size_t at = 1; at + kAddress <= message.size(); at += kAddress) {
    addresses.push_back(read_address(message.data() + at));
  }
  return addresses;
}

std::vector<std::vector<std::uint8_t>> handshake_messages(
    const std::vector<quic::ConnectionId>& cids) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (const quic::ConnectionId& cid : cids) {
    if (messages.empty() || messages.back().size() > kMaxHandshakeMessage) {
      messages.push_back(message(Kind::handshakes));
    }
    std::vector<std::uint8_t>& last = messages.back();
    last.push_back(static_cast<std::uint8_t>(cid.size()));
    last.insert(last.end(), cid.view().begin(), cid.view().end());
  }
  return messages;
}

void read_handshakes(ByteView message, std::vector<quic::ConnectionId>& cids) {
  std::size_t at = 1;
  while (at < message.size()) {
    const std::size_t size = message[at];
    if (size > quic::kMaxCidLength || at + 1 + size > message.size()) return;
    cids.emplace_back(message.subspan(at + 1, size));
    at += 1 + size;
  }
}

}  // namespace tern::handover
