#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/fallback/context.h"
#include "tests/unit/http/fetch.h"
#include "transport/sim/world.h"
#include "transport/tcp/network.h"

/// A server and a client host in virtual time with sessions, or raw byte streams, on the
/// simulator's TCP.

namespace tern::fallback::http1_testing {

using namespace std::chrono_literals;

/// Says what it is told, keeps what it hears.
class RawStream final : public tcp::StreamSink {
 public:
  void own(std::unique_ptr<tcp::Stream> taken) { stream = std::move(taken); }
  void say(std::string_view text) { ASSERT_TRUE(stream->write(Bytes::copy(text)).has_value()); }

  std::unique_ptr<tcp::Stream> stream;
  bool is_connected = false;
  bool ended = false;
  std::optional<Error> error;
  std::string received;
  bool over() const noexcept { return ended || error.has_value(); }

 private:
  void connected(tcp::Stream&) override { is_connected = true; }
  void receive(tcp::Stream&, MutableBytes bytes) override { received += as_text(bytes); }
  void end_of_stream(tcp::Stream&) override { ended = true; }
  void failed(tcp::Stream&, const Error& failure) override { error = failure; }
};

class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { all.emplace_back(text); }
  std::vector<std::string> all;
};

using http::testing::fetch;
using http::testing::Reply;

inline http::RequestHead request(std::string method, std::string path) {
  http::RequestHead head;
  head.method = std::move(method);
  head.scheme = "http";
  head.authority = "server";
  head.path = std::move(path);
  return head;
}

class Rig : private tcp::ListenSink {
 public:
  explicit Rig(http::Handler handler, SessionOptions server = {}, SessionOptions client = {},
               Protocol protocol = Protocol::http1, http::ConnectionAge age = {})
      : protocol_(protocol) {
    world.link(client_host(), server_host(), sim::LinkOptions().delay(10ms));
    server_host().runtime().log_to(server_log);
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    hooks.age = age;
    hooks.done = [this](const http::Exchange& exchange) {
      served.emplace_back(exchange.request().method + " " + exchange.request().path + " " +
                          std::to_string(exchange.status()));
    };
    server_context.emplace(server_host().runtime(), std::move(server), std::move(hooks));
    client_context.emplace(client_host().runtime(), std::move(client));
    tcp::ListenOptions options;
    options.bind = udp::Address::v4(0, 80);
    listener_ = *server_host().network().tcp().listen(options, *this);
  }
  ~Rig() {
    raw.clear();
    listener_.reset();
    raw_server.stream.reset();
    server_context.reset();
    client_context.reset();
  }

  sim::Host& server_host() { return world.host("server"); }
  sim::Host& client_host() { return world.host("client"); }
  Runtime& runtime() { return client_host().runtime(); }

  /// A client that speaks bytes only, connected.
  RawStream& dial() {
    raw.push_back(std::make_unique<RawStream>());
    RawStream& made = *raw.back();
    made.own(connect_to(made));
    EXPECT_TRUE(world.run_until([&] { return made.is_connected; }));
    return made;
  }
  /// What the server says to `bytes` until it closes or `quiet` has passed; `pieces`: bytes sent at
  /// once, the rest after it has arrived.
  std::string talk(std::string_view bytes, std::size_t split = 0, Duration quiet = 1s) {
    RawStream& client = dial();
    if (split > 0) {
      client.say(bytes.substr(0, split));
      world.run_for(50ms);
    }
    client.say(bytes.substr(split));
    world.run_until([&] { return client.over(); }, quiet);
    std::string received = client.received;
    last_closed = client.over();
    raw.pop_back();
    return received;
  }

  /// A client session.
  Session* connect(Protocol protocol = Protocol::http1) {
    session = nullptr;
    closed.reset();
    RawStream waiting;
    auto stream = connect_to(waiting);
    EXPECT_TRUE(world.run_until([&] { return waiting.is_connected; }));
    ClientHooks hooks;
    hooks.closed = [this](const Error& error) {
      closed = error;
      session = nullptr;
    };
    hooks.goaway = [this] { ++goaways; };
    session = &client_context->connect(std::move(stream), protocol, std::move(hooks));
    return session;
  }
  std::shared_ptr<Reply> start(http::RequestHead head, std::string body = {},
                               http::Fields trailers = {}) {
    return http::testing::start(runtime(), *session, std::move(head), std::move(body),
                                std::move(trailers));
  }
  Reply ask(http::RequestHead head, std::string body = {}, http::Fields trailers = {}) {
    auto reply = start(std::move(head), std::move(body), std::move(trailers));
    EXPECT_TRUE(world.run_until([&] { return reply->done; })) << "no reply";
    return *reply;
  }
  std::uint64_t server_count(std::string_view name) {
    return server_host().runtime().counters().at(name).value();
  }

  Lines server_log;
  std::vector<std::string> served;
  sim::World world{1};
  std::optional<Context> server_context;
  std::optional<Context> client_context;
  std::vector<std::unique_ptr<RawStream>> raw;
  /// The next stream the server accepts goes here instead of to a session.
  bool accept_raw = false;
  RawStream raw_server;
  Session* session = nullptr;
  Session* server_session = nullptr;
  std::optional<Error> closed;
  int goaways = 0;
  bool last_closed = false;

 private:
  std::unique_ptr<tcp::Stream> connect_to(RawStream& sink) {
    tcp::ConnectOptions options;
    options.remote = server_host().v4(80);
    auto stream = client_host().network().tcp().connect(options, sink);
    return std::move(*stream);
  }
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    if (accept_raw) {
      stream->attach(raw_server);
      raw_server.own(std::move(stream));
      return;
    }
    server_session = &server_context->accept(std::move(stream), protocol_);
  }

  Protocol protocol_;
  std::unique_ptr<tcp::Listener> listener_;
};

/// Reads the whole body and says what it got.
inline Task<void> echo(http::Exchange& exchange) {
  auto body = co_await exchange.read_all();
  if (!body) {
    co_await exchange.respond(http::Status::internal_server_error);
    co_return;
  }
  std::string text = exchange.request().method + " " + exchange.request().scheme + " " +
                     exchange.request().authority + " " + exchange.request().path + " [" + *body +
                     "]";
  for (const http::Field field : exchange.trailers()) {
    text += " " + std::string(field.name) + "=" + std::string(field.value);
  }
  co_await exchange.respond(http::Status::ok, std::move(text));
}

}  // namespace tern::fallback::http1_testing
