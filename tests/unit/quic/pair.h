#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "transport/quic/endpoint.h"
#include "transport/tls/development.h"

/// Two endpoints and nothing between them but a queue: what quinn calls a pair. Time is ours.

namespace tern::quic::testing {

inline constexpr UnixSeconds kNow = 1'790'000'000;

inline const tls::Identity& authority() {
  static const tls::Identity identity =
      *tls::make_authority(tls::DevelopmentOptions(kNow).days(365));
  return identity;
}

inline tls::Certificate server_certificate() {
  static const tls::Identity leaf = *tls::make_leaf(authority(), tls::DevelopmentOptions(kNow));
  return *tls::Certificate::parse(leaf.certificate, leaf.key);
}

/// Keeps what is logged.
class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { all.emplace_back(text); }
  std::vector<std::string> all;
};

/// One side: an endpoint with everything it needs, and a record of what happened.
class Side {
 public:
  Side(EndpointOptions options, const udp::Address& own_address, std::uint64_t seed)
      : address(own_address), random(seed) {
    endpoint = *Endpoint::create(std::move(options), timers, random, counters, log);
  }

  /// Takes all events; stream data is collected and consumed.
  void drain() {
    Event event;
    while (endpoint->next_event(event)) {
      types.push_back(event.type);
      if (event.type == Event::Type::ready) {
        alpn_when_ready = event.connection->handshake().alpn;
      }
      if (event.type == Event::Type::stream_data) {
        received[event.stream] += event.data.text();
        if (event.fin) finished[event.stream] = true;
        if (event.early) early_bytes += event.data.size();
        event.connection->consumed(event.stream, event.data.size());
      }
      if (event.type == Event::Type::datagram) datagrams.emplace_back(event.data.text());
      if (event.type == Event::Type::closed) closed.push_back(event.connection->close_reason());
      if (event.type == Event::Type::session) {
        Session session;
        while (event.connection->take_session(session)) sessions.push_back(session);
      }
      if (on_event) on_event(event);
    }
  }

  bool saw(Event::Type type) const {
    return std::find(types.begin(), types.end(), type) != types.end();
  }
  std::uint64_t count(std::string_view counter) { return counters.at(counter).value(); }

  udp::Address address;
  TimerHeap timers;
  Random random;
  Counters counters;
  Lines log;
  std::unique_ptr<Endpoint> endpoint;
  std::vector<Event::Type> types;
  std::string alpn_when_ready;
  std::map<StreamId, std::string> received;
  std::map<StreamId, bool> finished;
  std::vector<std::string> datagrams;
  std::vector<Error> closed;
  std::vector<Session> sessions;
  std::size_t early_bytes = 0;
  std::function<void(const Event&)> on_event;
};

class Pair {
 public:
  explicit Pair(EndpointOptions for_server = default_server(), EndpointOptions for_client = {})
      : server(drowsy(std::move(for_server)), udp::Address::v4(0x0a000001, 4433), 1),
        client(drowsy(std::move(for_client)), udp::Address::v4(0x0a000002, 50000), 2) {}

  /// Whatever is tested, connections sleep in between.
  static EndpointOptions drowsy(EndpointOptions options) {
    if (options.transport.rest_after == TransportOptions().rest_after) {
      options.transport.rest_after = std::chrono::milliseconds(1);
    }
    return options;
  }

  static EndpointOptions default_server() { return server_options(server_context()); }
  static EndpointOptions server_options(const tls::ServerContextOptions& context) {
    EndpointOptions options;
    options.server_context = *tls::ServerContext::create(context);
    static Random random(99);
    static const auto keys = std::make_shared<tls::KeyRing>(random, kNow);
    static const auto reset_key = std::make_shared<StatelessResetKey>(random);
    options.token_keys = keys;
    options.reset_key = reset_key;
    return options;
  }
  static tls::ServerContextOptions server_context() {
    static Random random(98);
    static const auto keys = std::make_shared<tls::KeyRing>(random, kNow);
    return tls::ServerContextOptions()
        .certificate(server_certificate())
        .alpn({"test"})
        .early_data(true)
        .ticket_keys(keys);
  }
  ConnectOptions connect_options() const {
    ConnectOptions options;
    options.context =
        *tls::ClientContext::create(tls::ClientContextOptions().ca_pem(authority().certificate));
    options.local = client.address;
    options.remote = server.address;
    options.server_name = "localhost";
    options.alpn = {"test"};
    return options;
  }

  Connection* connect() { return connect(connect_options()); }
  Connection* connect(const ConnectOptions& options) {
    auto connection = client.endpoint->connect(options, now, unix_now);
    EXPECT_TRUE(connection.has_value()) << connection.error().to_string();
    return connection ? *connection : nullptr;
  }
  Connection* server_connection() {
    Connection* found = nullptr;
    server.endpoint->for_each([&](Connection& connection) { found = &connection; });
    return found;
  }

  /// Runs until nothing moves any more without waiting longer than `patience` of virtual time.
  void run(Duration patience = std::chrono::milliseconds(500)) {
    const Timestamp limit = now + patience;
    for (;;) {
      bool moved = true;
      while (moved) {
        moved = step(client, server);
        moved = step(server, client) || moved;
      }
      const Timestamp next = std::min(client.timers.next_deadline(), server.timers.next_deadline());
      if (next > limit) {
        now = limit;
        return;
      }
      now = std::max(now + Duration(1), next);
      client.timers.expire(now);
      server.timers.expire(now);
    }
  }

  /// Called for each datagram: return false to lose it. May change it.
  std::function<bool(const Side& from, std::vector<std::uint8_t>& datagram)> network;
  udp::Path going;       ///< its path, as its sender sees it
  udp::Ecn going_ecn{};  ///< and its mark

  Timestamp now{std::chrono::seconds(1)};
  UnixSeconds unix_now = kNow;
  Side server;
  Side client;
  std::size_t datagrams_to_server = 0;
  std::size_t datagrams_to_client = 0;
  std::size_t bytes_to_client = 0;
  udp::Ecn mark = udp::Ecn::not_ect;  ///< replaces the sender's when set

 private:
  bool step(Side& from, Side& to) {
    from.drain();
    bool moved = false;
    bool more = true;
    while (more) {
      std::vector<udp::Transmit> transmits;
      std::size_t used = 0;
      more = from.endpoint->fill(space_, used, transmits, now);
      for (const udp::Transmit& transmit : transmits) {
        moved = true;
        for (std::uint32_t at = 0; at < transmit.length; at += transmit.segment_size) {
          const std::uint32_t size = std::min(transmit.segment_size, transmit.length - at);
          std::vector<std::uint8_t> datagram(space_.begin() + transmit.offset + at,
                                             space_.begin() + transmit.offset + at + size);
          (&to == &server ? datagrams_to_server : datagrams_to_client) += 1;
          if (&to == &client) bytes_to_client += size;
          going = transmit.path;
          going_ecn = transmit.ecn;
          if (network && !network(from, datagram)) continue;
          udp::Arrival arrival;
          arrival.path = {transmit.path.remote, transmit.path.local};
          arrival.ecn = mark == udp::Ecn::not_ect ? transmit.ecn : mark;
          arrival.bytes = datagram;
          arrival.segment_size = datagram.size();
          to.endpoint->receive(arrival, now, unix_now);
        }
      }
      from.drain();
      more = more || from.endpoint->has_work();
    }
    to.drain();
    return moved;
  }

  std::vector<std::uint8_t> space_ = std::vector<std::uint8_t>(udp::Slab::kSize);
};

}  // namespace tern::quic::testing
