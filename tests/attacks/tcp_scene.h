#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <malloc.h>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "http/fallback/context.h"
#include "tests/attacks/measure.h"
#include "transport/sim/world.h"

/// HTTP/2 and HTTP/1.1 under attack, on the simulator's TCP.

namespace tern::attacks {

/// What an attacker with connections over TCP does.
struct TcpAttack {
  const char* name = "";
  fallback::Protocol protocol = fallback::Protocol::http2;
  std::string greeting;
  /// The `i`th thing to say on a connection; empty: nothing more.
  std::function<std::string(std::uint32_t i)> part;
  Duration pace = 1ms;      ///< between rounds
  std::uint32_t burst = 1;  ///< parts a round
  std::size_t connections = 5;
  bool reads = true;
  /// The server ends all of its connections within the time of the measurement.
  bool is_ended = true;
  /// What it may have allocated: what 200 connections cost, some 50 KiB each for either end, and
  /// what is under way.
  std::size_t memory = 32 * 1024 * 1024;
};

inline void PrintTo(const TcpAttack& attack, std::ostream* out) { *out << attack.name; }

class TcpScene final : private tcp::ListenSink {
 public:
  static constexpr Duration kTime = 12s;
  static constexpr std::uint16_t kHttp1Port = 80;
  static constexpr std::uint16_t kHttp2Port = 443;

  explicit TcpScene(fallback::SessionOptions options = {}) {
    world.link(good(), server(), sim::LinkOptions().delay(10ms).mbps(100));
    world.link(attacker(), server(), sim::LinkOptions().delay(5ms).mbps(1000));
    http::ServerHooks hooks;
    hooks.handler = [this](http::Exchange& exchange) { return handle(backend_, exchange); };
    server_context_.emplace(server().runtime(), std::move(options), std::move(hooks));
    client_context_.emplace(good().runtime());
    for (const std::uint16_t port : {kHttp1Port, kHttp2Port}) {
      tcp::ListenOptions listen;
      listen.bind = udp::Address::v4(0, port);
      listeners_.push_back(std::move(*server().network().tcp().listen(listen, *this)));
    }
  }
  ~TcpScene() {
    attackers_.clear();
    client_context_.reset();
    server_context_.reset();
    connecting_.clear();
    listeners_.clear();
  }

  /// Good clients alone, or beside that attack.
  Outcome run(const TcpAttack* attack) {
    for (int i = 0; i < 3; ++i) {
      connect_good(fallback::Protocol::http2);
      connect_good(fallback::Protocol::http1);
      if (websockets) connect_good(fallback::Protocol::http1, true);
    }
    world.run_for(200ms);
    MemoryMeter memory;
    outcome_ = Outcome();
    if (attack != nullptr) {
      for (std::size_t i = 0; i < attack->connections; ++i) {
        attackers_.push_back(std::make_unique<Attacker>(*this, *attack));
      }
    }
    const Duration round = attack != nullptr ? attack->pace : 100ms;
    for (Duration at{0}; at < kTime; at += round) {
      for (const auto& one : attackers_) one->go_on();
      world.run_for(round);
      memory.look(at, outcome_.memory);
    }
    for (const auto& one : attackers_) outcome_.left += one->over ? 0 : 1;
    return outcome_;
  }

  std::uint64_t count(std::string_view name) {
    return server().runtime().counters().at(name).value();
  }

  sim::World world{1};
  /// The good clients have WebSockets as well.
  bool websockets = false;

 private:
  sim::Host& server() { return world.host("server"); }
  sim::Host& good() { return world.host("good"); }
  sim::Host& attacker() { return world.host("attacker"); }

  void accepted(tcp::Listener& listener, std::unique_ptr<tcp::Stream> stream) override {
    server_context_->accept(std::move(stream), listener.local().port() == kHttp2Port
                                                   ? fallback::Protocol::http2
                                                   : fallback::Protocol::http1);
  }

  // ---- good clients: each asks again when it has been answered

  class Connecting final : public tcp::StreamSink {
   public:
    Connecting(TcpScene& scene, fallback::Protocol protocol, bool websocket)
        : scene_(scene), protocol_(protocol), websocket_(websocket) {
      tcp::ConnectOptions to;
      to.remote =
          scene.server().v4(protocol == fallback::Protocol::http2 ? kHttp2Port : kHttp1Port);
      stream_ = std::move(*scene.good().network().tcp().connect(to, *this));
    }

   private:
    void connected(tcp::Stream&) override {
      fallback::Session& session = scene_.client_context_->connect(std::move(stream_), protocol_);
      const bool many = protocol_ == fallback::Protocol::http2;
      if (websocket_ || (many && scene_.websockets)) {
        scene_.good().runtime().spawn(echo_on(session, scene_.outcome_));
      }
      const int at_once = websocket_ ? 0 : many ? 4 : 1;
      for (int i = 0; i < at_once; ++i) {
        scene_.good().runtime().spawn(ask_on(session, scene_.outcome_));
      }
    }
    void receive(tcp::Stream&, MutableBytes) override {}
    void end_of_stream(tcp::Stream&) override {}
    void failed(tcp::Stream&, const Error&) override {}

    TcpScene& scene_;
    fallback::Protocol protocol_;
    bool websocket_;  // its connection's only purpose
    std::unique_ptr<tcp::Stream> stream_;
  };
  void connect_good(fallback::Protocol protocol, bool websocket = false) {
    connecting_.push_back(std::make_unique<Connecting>(*this, protocol, websocket));
  }
  // ---- the attacker

  class Attacker final : public tcp::StreamSink {
   public:
    Attacker(TcpScene& scene, const TcpAttack& attack) : scene_(scene), attack_(attack) {
      tcp::ConnectOptions to;
      to.remote =
          scene.server().v4(attack.protocol == fallback::Protocol::http2 ? kHttp2Port : kHttp1Port);
      stream_ = std::move(*scene.attacker().network().tcp().connect(to, *this));
      say(attack.greeting);
    }
    void go_on() {
      for (std::uint32_t i = 0; i < attack_.burst && !over && connected_; ++i) {
        if (stream_->queued() > 64 * 1024) return;
        say(attack_.part(next_++));
      }
    }
    bool over = false;

   private:
    void say(const std::string& bytes) {
      if (!bytes.empty() && !stream_->write(Bytes::copy(bytes))) over = true;
    }
    void connected(tcp::Stream& stream) override {
      connected_ = true;
      if (!attack_.reads) stream.pause();
    }
    void receive(tcp::Stream&, MutableBytes bytes) override {
      scene_.outcome_.answered += bytes.size();
    }
    void end_of_stream(tcp::Stream&) override { over = true; }
    void failed(tcp::Stream&, const Error&) override { over = true; }

    TcpScene& scene_;
    const TcpAttack& attack_;
    std::unique_ptr<tcp::Stream> stream_;
    std::uint32_t next_ = 0;
    bool connected_ = false;
  };

  Backend backend_;
  Outcome outcome_;
  std::optional<fallback::Context> server_context_;
  std::optional<fallback::Context> client_context_;
  std::vector<std::unique_ptr<tcp::Listener>> listeners_;
  std::vector<std::unique_ptr<Connecting>> connecting_;
  std::vector<std::unique_ptr<Attacker>> attackers_;
};

}  // namespace tern::attacks
