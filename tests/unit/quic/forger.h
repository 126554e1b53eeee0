#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/quic/pair.h"
#include "tests/unit/quic/short_packet.h"
#include "transport/tls/key_log.h"

/// A client gone bad: after an honest handshake over a `Pair` it writes 1-RTT packets with any
/// frames at all, protected with the connection's real keys (from its key log).

namespace tern::quic::testing {

class Forger {
 public:
  explicit Forger(EndpointOptions server = Pair::default_server()) : pair(std::move(server)) {
    key_log_ = tls::KeyLog::to([this](std::string_view line) {
      if (line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
        secret_ = secret_of(line);
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
    // Far above what the client has used.
    return protect_short(secret_, dcid_, next_number_++, frames, flags);
  }

  /// The error code the honest half of this client saw the server close with.
  Error close_seen() const {
    return pair.client.closed.empty() ? Error(Code::not_found, "not closed")
                                      : pair.client.closed.front();
  }

  Pair pair;
  Connection* client = nullptr;

 private:
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
