#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/fallback/context.h"
#include "tests/unit/http/fetch.h"
#include "transport/sim/world.h"

/// A server and a client of ours in virtual time, over the simulator's TCP.

namespace tern::fallback::testing {

using namespace std::chrono_literals;
using http::testing::fetch;
using http::testing::get;
using http::testing::post;
using http::testing::Reply;

class Http2Pair final : private tcp::ListenSink {
 public:
  /// A TCP connection on its way to a client's session.
  class Connecting final : public tcp::StreamSink {
   public:
    Connecting(Http2Pair& pair, ClientHooks hooks) : pair_(pair), hooks_(std::move(hooks)) {}
    std::unique_ptr<tcp::Stream> stream;

   private:
    void connected(tcp::Stream&) override {
      pair_.session = &pair_.client->connect(std::move(stream), Protocol::http2, std::move(hooks_));
    }
    void receive(tcp::Stream&, MutableBytes) override {}
    void end_of_stream(tcp::Stream&) override {}
    void failed(tcp::Stream&, const Error& error) override { pair_.closed = error; }

    Http2Pair& pair_;
    ClientHooks hooks_;
  };

  explicit Http2Pair(http::Handler handler, SessionOptions server_options = {},
                     SessionOptions client_options = {},
                     const sim::LinkOptions& link = sim::LinkOptions().delay(10ms)) {
    world.link(client_host(), server_host(), link);
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    hooks.done = [this](const http::Exchange& exchange) {
      served.emplace_back(exchange.request().method + " " + exchange.request().path + " " +
                          std::to_string(exchange.status()));
    };
    server.emplace(server_host().runtime(), std::move(server_options), std::move(hooks));
    client.emplace(client_host().runtime(), std::move(client_options));
    tcp::ListenOptions listen;
    listen.bind = udp::Address::v4(0, 443);
    listener_ = std::move(*server_host().network().tcp().listen(listen, *this));
    connect();
  }
  ~Http2Pair() {
    client.reset();
    server.reset();
    connecting_.clear();
    listener_.reset();
  }

  sim::Host& server_host() { return world.host("server"); }
  sim::Host& client_host() { return world.host("client"); }

  /// Another connection; `session` is its client's.
  void connect() {
    ClientHooks hooks;
    hooks.goaway = [this] { ++goaways; };
    hooks.closed = [this](const Error& error) {
      closed = error;
      session = nullptr;
    };
    session = nullptr;
    closed.reset();
    connecting_.push_back(std::make_unique<Connecting>(*this, std::move(hooks)));
    tcp::ConnectOptions to;
    to.remote = server_host().v4(443);
    connecting_.back()->stream =
        std::move(*client_host().network().tcp().connect(to, *connecting_.back()));
    world.run_until([&] { return session != nullptr || closed.has_value(); });
  }

  std::shared_ptr<Reply> start(http::RequestHead head, std::string body = {},
                               http::Fields trailers = {}) {
    return http::testing::start(client_host().runtime(), *session, std::move(head), std::move(body),
                                std::move(trailers), &last);
  }
  Reply ask(http::RequestHead head, std::string body = {}, http::Fields trailers = {}) {
    auto reply = start(std::move(head), std::move(body), std::move(trailers));
    last.reset();
    EXPECT_TRUE(world.run_until([&] { return reply->done; })) << "no reply";
    return *reply;
  }
  Error wait_closed(Duration limit = 200s) {
    world.run_until([&] { return closed.has_value(); }, limit);
    if (closed) return *closed;
    ADD_FAILURE() << "the connection is not closed";
    return Error();
  }
  std::uint64_t server_count(std::string_view name) {
    return server_host().runtime().counters().at(name).value();
  }

  std::vector<std::string> served;
  sim::World world{1};
  std::optional<Context> server;
  std::optional<Context> client;
  Session* server_session = nullptr;
  Session* session = nullptr;
  std::shared_ptr<http::ClientExchange> last;
  std::optional<Error> closed;
  int goaways = 0;

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    server_session = &server->accept(std::move(stream), Protocol::http2);
  }

  std::unique_ptr<tcp::Listener> listener_;
  std::vector<std::unique_ptr<Connecting>> connecting_;
};

}  // namespace tern::fallback::testing
