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
#include "tests/unit/http/fetch.h"
#include "transport/sim/world.h"

/// A server under attack, in virtual time, and good clients whose goodput is measured.
///
/// Computing takes no virtual time, so what a request costs is put into its handler: all handlers
/// share one backend that does one thing at a time. An attacker that can have handlers started
/// without end takes it away from the others. Work below the handlers shows as bytes that the
/// server sends, connections it keeps and memory.

namespace tern::attacks {

using namespace std::chrono_literals;

/// One core that the handlers share.
class Backend {
 public:
  static constexpr Duration kCost = 200us;
  Task<void> work(Runtime& runtime) {
    busy_until_ = std::max(busy_until_, runtime.now()) + kCost;
    co_await runtime.sleep(busy_until_ - runtime.now());
  }

 private:
  Timestamp busy_until_{};
};

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
};

inline void PrintTo(const TcpAttack& attack, std::ostream* out) { *out << attack.name; }

struct Outcome {
  std::uint64_t good = 0;      ///< requests of good clients that were answered
  std::uint64_t failed = 0;    ///< … that were not
  std::size_t memory = 0;      ///< bytes above the beginning, at most: of the whole world
  std::size_t left = 0;        ///< attacker's connections that still stand
  std::uint64_t answered = 0;  ///< bytes that the attacker got
};

class TcpScene final : private tcp::ListenSink {
 public:
  static constexpr Duration kTime = 12s;
  static constexpr std::uint16_t kHttp1Port = 80;
  static constexpr std::uint16_t kHttp2Port = 443;

  explicit TcpScene(fallback::SessionOptions options = {}) {
    world.link(good(), server(), sim::LinkOptions().delay(10ms).mbps(100));
    world.link(attacker(), server(), sim::LinkOptions().delay(5ms).mbps(1000));
    http::ServerHooks hooks;
    hooks.handler = [this](http::Exchange& exchange) { return handle(exchange); };
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
    }
    world.run_for(200ms);
    const std::size_t before = allocated();
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
      if (const std::size_t now = allocated(); now > before) {
        outcome_.memory = std::max(outcome_.memory, now - before);
      }
    }
    for (const auto& one : attackers_) outcome_.left += one->over ? 0 : 1;
    return outcome_;
  }

  std::uint64_t count(std::string_view name) {
    return server().runtime().counters().at(name).value();
  }

  sim::World world{1};

 private:
  sim::Host& server() { return world.host("server"); }
  sim::Host& good() { return world.host("good"); }
  sim::Host& attacker() { return world.host("attacker"); }

  static std::size_t allocated() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }

  Task<void> handle(http::Exchange& exchange) {
    const std::string path = exchange.request().path;
    if (path == "/large") {
      // Without end, as fast as the client takes it.
      static const std::string piece(16 * 1024, 'x');
      co_await exchange.start(http::Response(http::Status::ok));
      while (true) {
        Bytes bytes = Bytes::literal(piece);
        auto sent = co_await exchange.write(std::move(bytes));
        if (!sent) co_return;
      }
    }
    if (exchange.method() == "POST") {
      auto body = co_await exchange.read_all(1'000'000);
      if (!body) {
        co_await backend_.work(exchange.runtime());  // it had begun
        co_return;
      }
    }
    co_await backend_.work(exchange.runtime());
    static const std::string page(10'000, 'y');
    http::Response response;
    response.body(Bytes::literal(page));
    co_await exchange.respond(std::move(response));
  }

  void accepted(tcp::Listener& listener, std::unique_ptr<tcp::Stream> stream) override {
    server_context_->accept(std::move(stream), listener.local().port() == kHttp2Port
                                                   ? fallback::Protocol::http2
                                                   : fallback::Protocol::http1);
  }

  // ---- good clients: each asks again when it has been answered

  class Connecting final : public tcp::StreamSink {
   public:
    Connecting(TcpScene& scene, fallback::Protocol protocol) : scene_(scene), protocol_(protocol) {
      tcp::ConnectOptions to;
      to.remote =
          scene.server().v4(protocol == fallback::Protocol::http2 ? kHttp2Port : kHttp1Port);
      stream_ = std::move(*scene.good().network().tcp().connect(to, *this));
    }

   private:
    void connected(tcp::Stream&) override {
      fallback::Session& session = scene_.client_context_->connect(std::move(stream_), protocol_);
      const int at_once = protocol_ == fallback::Protocol::http2 ? 4 : 1;
      for (int i = 0; i < at_once; ++i) {
        scene_.good().runtime().spawn(scene_.ask_on(session));
      }
    }
    void receive(tcp::Stream&, MutableBytes) override {}
    void end_of_stream(tcp::Stream&) override {}
    void failed(tcp::Stream&, const Error&) override {}

    TcpScene& scene_;
    fallback::Protocol protocol_;
    std::unique_ptr<tcp::Stream> stream_;
  };
  void connect_good(fallback::Protocol protocol) {
    connecting_.push_back(std::make_unique<Connecting>(*this, protocol));
  }
  Task<void> ask_on(fallback::Session& session) {
    while (true) {
      auto opened = session.open();
      if (!opened) {
        ++outcome_.failed;
        co_return;
      }
      http::ClientExchange& exchange = **opened;
      http::RequestHead head = http::testing::get("/page");
      head.scheme = "http";
      auto sent = co_await exchange.send(head, true);
      auto response = co_await exchange.response();
      if (!response) {
        ++outcome_.failed;
        co_return;
      }
      auto body = co_await exchange.read_all();
      if (body && body->size() == 10'000) {
        ++outcome_.good;
      } else {
        ++outcome_.failed;
      }
    }
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
