// HTTP/2 with prior knowledge (RFC 9113 §3.3), for h2load, nghttp, curl, and callgrind:
//
//   h2c_bench serve PORT        "/": 12 bytes, "/SIZE": as many, POST: what it got
//   h2c_bench get PORT PATH [N] N requests (default 1), at most 100 at once; prints status and
//   bytes h2c_bench post PORT PATH N  one request with a body of N bytes
//
// On loopback. `serve` says "ready PORT" when it listens (port 0: the system's choice) and runs
// until it is killed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/runtime.h"
#include "http/fallback/context.h"
#include "transport/engine/engine.h"

namespace {

using namespace tern;

Task<void> answer(http::Exchange& exchange) {
  if (exchange.method() == "POST") {
    http::Response response;
    co_await exchange.start(std::move(response));
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece) co_return;
      if (piece->empty()) break;
      Bytes bytes = *std::move(piece);
      co_await exchange.write(std::move(bytes));
    }
    co_await exchange.finish(exchange.trailers());
    co_return;
  }
  const std::string_view path = exchange.request().path_only();
  const unsigned long size = std::strtoul(std::string(path.substr(1)).c_str(), nullptr, 10);
  http::Response response;
  if (size == 0) {
    response.body(Bytes::literal("Hello World!"));
  } else {
    response.body(Bytes::take(std::string(size, 'x')));
  }
  co_await exchange.respond(std::move(response));
}

class Server final : public tcp::ListenSink {
 public:
  explicit Server(fallback::Context& context) : context_(context) {}

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    context_.accept(std::move(stream), fallback::Protocol::sniffed);
  }
  fallback::Context& context_;
};

int serve(Runtime& runtime, udp::Network& network, std::uint16_t port) {
  http::ServerHooks hooks;
  hooks.handler = answer;
  fallback::Context context(runtime, {}, std::move(hooks));
  Server server(context);
  tcp::ListenOptions options;
  options.bind = *udp::Address::parse_ip("127.0.0.1", port);
  auto listener = network.tcp().listen(options, server);
  if (!listener) {
    fmt::print(stderr, "{}\n", listener.error().to_string());
    return 1;
  }
  fmt::print("ready {}\n", (*listener)->local().port());
  std::fflush(stdout);
  runtime.run();
  return 0;
}

/// Waits for the connection.
class Connecting final : public tcp::StreamSink {
 public:
  explicit Connecting(Runtime& runtime) : done(runtime) {}
  std::optional<Error> error;
  Signal done;

 private:
  void connected(tcp::Stream&) override { done.notify(); }
  void receive(tcp::Stream&, MutableBytes) override {}
  void end_of_stream(tcp::Stream&) override {}
  void failed(tcp::Stream&, const Error& why) override {
    error = why;
    done.notify();
  }
};

struct Job {
  http::RequestHead head;
  std::size_t body = 0;
  int left = 1;
  std::uint64_t bytes = 0;
  int bad = 0;
  int status = 0;
  std::string failure;
};

Task<void> send_body(http::ClientExchange& exchange, std::size_t size) {
  while (size > 0) {
    const std::size_t piece = std::min<std::size_t>(size, 16 * 1024);
    Bytes bytes = Bytes::take(std::string(piece, 'x'));
    auto sent = co_await exchange.write(std::move(bytes));
    if (!sent) co_return;
    size -= piece;
  }
  co_await exchange.finish();
}

Task<void> work(fallback::Session& session, Job& job) {
  Runtime* runtime = nullptr;
  while (job.left > 0) {
    --job.left;
    auto exchange = session.open();
    if (!exchange) {
      ++job.bad;
      job.failure = exchange.error().to_string();
      co_return;
    }
    http::ClientExchange& asked = **exchange;
    runtime = &asked.runtime();
    Scope scope(runtime->ready());
    auto sent = co_await asked.send(job.head, job.body == 0);
    if (job.body > 0) scope.spawn(send_body(asked, job.body));
    auto response = co_await asked.response();
    if (!response) {
      ++job.bad;
      job.failure = response.error().to_string();
      continue;
    }
    job.status = http::code(response->status());
    while (true) {
      auto piece = co_await asked.read();
      if (!piece) {
        ++job.bad;
        job.failure = piece.error().to_string();
        break;
      }
      if (piece->empty()) break;
      job.bytes += piece->size();
    }
  }
}

Task<int> ask(Runtime& runtime, udp::Network& network, std::uint16_t port, Job& job) {
  constexpr int kAtOnce = 100;
  Connecting connecting(runtime);
  tcp::ConnectOptions to;
  to.remote = *udp::Address::parse_ip("127.0.0.1", port);
  auto stream = network.tcp().connect(to, connecting);
  if (stream) co_await connecting.done.wait();
  if (!stream || connecting.error) {
    fmt::print(stderr, "{}\n", (stream ? *connecting.error : stream.error()).to_string());
    co_return 7;
  }
  fallback::Context context(runtime);
  fallback::ClientHooks hooks;
  fallback::Session& session =
      context.connect(*std::move(stream), fallback::Protocol::http2, std::move(hooks));
  {
    Scope scope(runtime.ready());
    const int at_once = std::min(kAtOnce, job.left);
    for (int i = 0; i < at_once; ++i) scope.spawn(work(session, job));
    while (scope.size() > 0) co_await runtime.sleep(std::chrono::milliseconds(1));
  }
  fmt::print("{} {} bytes, {} failed{}{}\n", job.status, job.bytes, job.bad,
             job.failure.empty() ? "" : ": ", job.failure);
  co_return job.bad == 0 ? 0 : 1;
}

int usage() {
  fmt::print(stderr, "usage: h2c_bench serve PORT | get PORT PATH [N] | post PORT PATH BYTES\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return usage();
  const std::string_view verb = argv[1];
  const auto port = static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10));
  auto network = engine::open();
  if (!network) {
    fmt::print(stderr, "{}\n", network.error().to_string());
    return 1;
  }
  Runtime runtime(**network);
  if (verb == "serve" && argc == 3) return serve(runtime, **network, port);
  if (argc < 4) return usage();
  Job job;
  job.head.scheme = "http";
  job.head.authority = fmt::format("127.0.0.1:{}", port);
  job.head.path = argv[3];
  const auto number = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 1;
  if (verb == "get") {
    job.left = static_cast<int>(number);
  } else if (verb == "post") {
    job.head.method = "POST";
    job.body = number;
  } else {
    return usage();
  }
  return runtime.block_on(ask(runtime, **network, port, job));
}
