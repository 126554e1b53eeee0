#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "http/fallback/context.h"
#include "transport/sim/world.h"

/// A server's HTTP/1.1 session that hears anything at all, and a client's that is answered with it:
/// whatever it is, the world must come to rest, and nothing may be left.

namespace {

using namespace std::chrono_literals;
using tern::Bytes;
using tern::ByteView;
using tern::Task;
namespace fallback = tern::fallback;
namespace http = tern::http;
namespace sim = tern::sim;
namespace tcp = tern::tcp;
namespace udp = tern::udp;

Task<void> handler(http::Exchange& exchange) {
  if (exchange.request().path == "/ignore") {
    co_await exchange.respond(http::Status::ok, "x");
    co_return;
  }
  if (exchange.method() == "CONNECT") {
    http::Response head;
    co_await exchange.start(head);
  }
  for (;;) {
    auto piece = co_await exchange.read();
    if (!piece || piece->empty()) break;
    if (exchange.tunnel()) co_await exchange.write(*std::move(piece));
  }
  if (!exchange.responded()) co_await exchange.respond(http::Status::ok, "y");
}

class Sink final : public tcp::StreamSink {
 public:
  bool is_connected = false;
  std::unique_ptr<tcp::Stream> stream;

 private:
  void connected(tcp::Stream&) override { is_connected = true; }
  void receive(tcp::Stream&, tern::MutableBytes) override {}
  void end_of_stream(tcp::Stream&) override {}
  void failed(tcp::Stream&, const tern::Error&) override {}
};

class Acceptor final : public tcp::ListenSink {
 public:
  Acceptor(fallback::Context& server, Sink& raw, bool raw_server)
      : server_(server), raw_(raw), raw_server_(raw_server) {}

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    if (raw_server_) {
      stream->attach(raw_);
      raw_.stream = std::move(stream);
    } else {
      server_.accept(std::move(stream), fallback::Protocol::http1);
    }
  }
  fallback::Context& server_;
  Sink& raw_;
  bool raw_server_;
};

Task<void> fetch(std::shared_ptr<http::ClientExchange> exchange, http::RequestHead head) {
  co_await exchange->send(head, true);
  auto response = co_await exchange->response();
  if (!response) co_return;
  for (;;) {
    auto piece = co_await exchange->read();
    if (!piece || piece->empty()) co_return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool raw_server = (data[0] & 1) != 0;
  const std::size_t piece = 1 + data[1];
  const ByteView input(data + 2, size - 2);

  sim::World world(1);
  sim::Host& server_host = world.host("server");
  sim::Host& client_host = world.host("client");
  world.link(client_host, server_host, sim::LinkOptions().delay(1ms));
  fallback::SessionOptions options;
  options.max_body = 4096;
  options.idle_timeout = 5s;
  http::ServerHooks hooks;
  hooks.handler = handler;
  Sink raw;
  Sink waiting;
  {
    fallback::Context server(server_host.runtime(), options, hooks);
    fallback::Context client(client_host.runtime(), options);
    Acceptor acceptor(server, raw, raw_server);
    tcp::ListenOptions listen;
    listen.bind = udp::Address::v4(0, 80);
    auto listener = *server_host.network().tcp().listen(listen, acceptor);
    tcp::ConnectOptions connect;
    connect.remote = server_host.v4(80);
    Sink& dialing = raw_server ? waiting : raw;
    dialing.stream = *client_host.network().tcp().connect(connect, dialing);
    world.run_until([&] { return dialing.is_connected && (!raw_server || raw.stream); });
    if (raw_server) {
      auto& session = client.connect(std::move(waiting.stream), fallback::Protocol::http1);
      for (int i = 0; i < 3; ++i) {
        http::RequestHead head;
        head.method = i == 1 ? "HEAD" : "GET";
        head.authority = "a";
        if (i == 2) {
          head.method = "CONNECT";
          head.protocol = "websocket";
        }
        std::shared_ptr<http::ClientExchange> exchange = std::move(*session.open());
        client_host.runtime().spawn(fetch(std::move(exchange), std::move(head)));
      }
      world.run_for(10ms);
    }
    for (std::size_t at = 0; at < input.size(); at += piece) {
      const ByteView part = input.subspan(at, std::min(piece, input.size() - at));
      if (!raw.stream->write(Bytes::copy(part))) break;
      world.run_for(3ms);
    }
    raw.stream->finish();
    world.run_for(300s);
    if (server.sessions() != 0) std::abort();
    raw.stream.reset();
    listener.reset();
  }
  world.run_for(60s);
  return 0;
}
