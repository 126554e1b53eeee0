#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/quic/pair.h"
#include "transport/quic/packet_protection.h"
#include "transport/tls/key_log.h"

/// A client gone bad: after an honest handshake over a `Pair` it writes 1-RTT packets with any
/// frames at all, protected with the connection's real keys (from its key log).

namespace tern::quic::testing {

class Forger {
 public:
  explicit Forger(EndpointOptions server = Pair::default_server()) : pair(std::move(server)) {
    key_log_ = tls::KeyLog::to([this](std::string_view line) {
      if (line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
        secret_ = unhex(line.substr(line.rfind(' ') + 1));
      }
    });
    pair.network = [this](const Side& from, std::vector<std::uint8_t>& datagram) {
      if (&from == &pair.client && (datagram[0] & 0x80) == 0) {
        dcid_.assign(datagram.begin() + 1, datagram.begin() + 9);
      }
      return true;
    };
    ConnectOptions options = pair.connect_options();
    options.context = *tls::ClientContext::create(
        tls::ClientContextOptions().ca_pem(authority().certificate).key_log(key_log_));
    client = pair.connect(options);
    pair.run();
    EXPECT_TRUE(client->handshake_confirmed());
    pair.network = nullptr;          // the connection ID in use is known now
    EXPECT_EQ(secret_.size(), 32u);  // AES-128-GCM and SHA-256
    EXPECT_EQ(dcid_.size(), 8u);
  }

  /// Sends one packet with these frames from the client's address and lets both sides go on.
  void send(std::vector<std::uint8_t> frames) {
    deliver(protect(std::move(frames)));
    pair.run();
  }
  /// The same without letting anybody answer.
  void deliver(std::vector<std::uint8_t> packet) {
    udp::Arrival arrival;
    arrival.path = {pair.server.address, pair.client.address};
    arrival.bytes = packet;
    arrival.segment_size = packet.size();
    pair.server.endpoint->receive(arrival, pair.now, pair.unix_now);
  }

  std::vector<std::uint8_t> protect(std::vector<std::uint8_t> frames, std::uint8_t flags = 0x40) {
    // Four bytes of packet number, far above what the client has used.
    const std::uint32_t number = next_number_++;
    const PacketKeys keys = derive_packet_keys(kVersion1, kInitialSuite, secret_);
    std::vector<std::uint8_t> packet = {static_cast<std::uint8_t>(flags | 0x03)};
    packet.insert(packet.end(), dcid_.begin(), dcid_.end());
    for (int shift = 24; shift >= 0; shift -= 8) {
      packet.push_back(static_cast<std::uint8_t>(number >> shift));
    }
    const std::size_t head = packet.size();
    const std::vector<std::uint8_t> header = packet;
    std::array<std::uint8_t, kIvLength> nonce = keys.iv;
    for (std::size_t i = 0; i < 4; ++i) {
      nonce[8 + i] = static_cast<std::uint8_t>(nonce[8 + i] ^ header[head - 4 + i]);
    }
    packet.resize(head + frames.size() + kAeadTagLength);
    const AeadKey key(Aead::aes_128_gcm, keys.key_view());
    key.seal(packet.data() + head, frames, nonce, header);
    std::uint8_t mask[5];
    HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + head);
    packet[0] = static_cast<std::uint8_t>(packet[0] ^ (mask[0] & 0x1f));
    for (std::size_t i = 0; i < 4; ++i) {
      packet[head - 4 + i] = static_cast<std::uint8_t>(packet[head - 4 + i] ^ mask[1 + i]);
    }
    return packet;
  }

  /// The error code the honest half of this client saw the server close with.
  Error close_seen() const {
    return pair.client.closed.empty() ? Error(Code::not_found, "not closed")
                                      : pair.client.closed.front();
  }

  Pair pair;
  Connection* client = nullptr;

 private:
  static std::vector<std::uint8_t> unhex(std::string_view text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
      bytes.push_back(
          static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
  }

  std::shared_ptr<tls::KeyLog> key_log_;
  std::vector<std::uint8_t> secret_;
  std::vector<std::uint8_t> dcid_;
  std::uint32_t next_number_ = 1000;
};

/// A QUIC varint in the 8-byte form, which every value fits.
inline std::vector<std::uint8_t> varint(std::uint64_t value) {
  std::vector<std::uint8_t> bytes(8);
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  }
  bytes[0] = static_cast<std::uint8_t>(bytes[0] | 0xc0);
  return bytes;
}

/// Bytes and varints one after the other.
class Frame {
 public:
  explicit Frame(std::uint8_t type) { bytes_.push_back(type); }
  Frame& number(std::uint64_t value) {
    const auto more = varint(value);
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  Frame& bytes(std::size_t count, std::uint8_t value) {
    bytes_.insert(bytes_.end(), count, value);
    return *this;
  }
  operator std::vector<std::uint8_t>() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace tern::quic::testing
