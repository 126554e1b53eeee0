#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/attacks/measure.h"
#include "tests/unit/http3/rig.h"

/// HTTP/3 under attack, in virtual time.

namespace tern::attacks {

/// One connection of the attacker's.
struct Http3Peer {
  std::optional<Error> closed;
  http3::testing::RawPeer* raw = nullptr;
  std::uint32_t rounds = 0;
  quic::StreamId last = -1;  // a stream that the attack remembers
};

struct Http3Attack {
  const char* name = "";
  /// What it does in a round, on a connection that stands.
  std::function<void(Http3Peer&)> act;
  Duration pace = 1ms;
  std::size_t connections = 5;
  bool reads = true;
  bool is_ended = true;
  /// With that error.
  Domain domain = Domain::application;
  std::uint64_t code = static_cast<std::uint64_t>(http3::ErrorCode::excessive_load);
  /// What it may have allocated, in bytes.
  std::size_t memory = 64 * 1024 * 1024;
  /// The windows it gives the server, in bytes; 0: the usual ones.
  std::uint64_t window = 0;
};

inline void PrintTo(const Http3Attack& attack, std::ostream* out) { *out << attack.name; }

inline quic::StreamId open(Http3Peer& peer, std::string_view bytes, bool fin = false) {
  const auto id = peer.raw->connection().open_bidi();
  if (!id) return -1;
  peer.raw->connection().write(*id, Bytes::copy(bytes), fin);
  return *id;
}

class Http3Scene {
 public:
  static constexpr Duration kTime = 12s;

  explicit Http3Scene(http3::SessionOptions options = {})
      : rig_([this](http::Exchange& exchange) { return handle(backend_, exchange); },
             http3::testing::RigOptions().server(std::move(options))) {}

  /// Good clients alone, or beside that attack.
  Outcome run(const Http3Attack* attack) {
    for (int i = 0; i < 3; ++i) {
      http3::Session* session = rig_.connect();
      for (int k = 0; k < 4; ++k) rig_.runtime().spawn(ask_on(*session, outcome_));
      if (websockets) rig_.runtime().spawn(echo_on(*session, outcome_));
    }
    rig_.world.run_for(200ms);
    MemoryMeter memory;
    outcome_ = Outcome();
    for (std::size_t i = 0; attack != nullptr && i < attack->connections; ++i) begin(*attack);
    const Duration round = attack != nullptr ? attack->pace : 100ms;
    for (Duration at{0}; at < kTime; at += round) {
      for (const auto& peer : peers_) {
        if (peer->raw == nullptr || peer->closed) continue;
        attack->act(*peer);
        ++peer->rounds;
      }
      rig_.world.run_for(round);
      if (measures_memory) memory.look(at, outcome_.memory);
    }
    for (const auto& peer : peers_) {
      outcome_.left += peer->closed ? 0 : 1;
      if (peer->closed && attack->is_ended) {
        EXPECT_EQ(peer->closed->domain, attack->domain) << peer->closed->to_string();
        EXPECT_EQ(peer->closed->code, attack->code) << peer->closed->to_string();
      }
    }
    return outcome_;
  }

  std::uint64_t count(std::string_view name) {
    return rig_.server_host().runtime().counters().at(name).value();
  }

  /// The good clients have WebSockets as well.
  bool websockets = false;
  /// Malloc's account of much that is free in small pieces takes longer than an attack.
  bool measures_memory = true;

 private:
  void begin(const Http3Attack& attack) {
    peers_.push_back(std::make_unique<Http3Peer>());
    Http3Peer& peer = *peers_.back();
    auto to = rig_.connect_options();
    to.alpn = {"h3"};
    if (attack.window != 0) {
      quic::TransportOptions transport;
      transport.initial_window = transport.initial_stream_window = attack.window;
      transport.max_window = transport.max_stream_window = attack.window;
      to.transport = transport;
    }
    const auto factory = [&peer, &attack](quic::Connection& connection) {
      auto made = std::make_unique<http3::testing::RawPeer>(connection, peer.closed);
      made->consume = attack.reads;
      peer.raw = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
    EXPECT_TRUE(rig_.client_endpoint->connect(
        to, factory, [&peer](const Error& error) { peer.closed = error; }));
  }

  Backend backend_;
  Outcome outcome_;
  std::vector<std::unique_ptr<Http3Peer>> peers_;
  http3::testing::Rig rig_;
};

}  // namespace tern::attacks
