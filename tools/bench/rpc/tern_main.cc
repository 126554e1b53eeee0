#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/scope.h"
#include "echo.tern.h"
#include "gateway/client.h"
#include "gateway/rpc_channel.h"
#include "gateway/server.h"
#include "http/router.h"
#include "rpc/client_streams.h"
#include "rpc/dispatcher.h"
#include "transport/engine/engine.h"

/// tern's side of tools/bench/rpc/run:
///
///   rpc_bench server PORT CERT KEY
///   rpc_bench client URL CA h3|h2 unary|json|download|pingpong CONCURRENT SECONDS|COUNTx
///
/// COUNTx: so many calls, however long they take, as callgrind wants it.

namespace {

using namespace tern;
using tern::bench::Echo;
using tern::bench::Payload;
using tern::bench::Wanted;

class EchoService final : public Echo {
  Task<rpc::Status> Unary(rpc::ServerContext&, const Payload& request, Payload& response) override {
    response = request;
    co_return rpc::Status();
  }
  Task<rpc::Status> Download(rpc::ServerContext&, const Wanted& request,
                             rpc::Writer<Payload>& responses) override {
    Payload response;
    response.set_body(std::string(request.size(), 'x'));
    for (std::uint32_t i = 0; i < request.count(); ++i) {
      const bool sent = co_await responses.send(response);
      if (!sent) break;
    }
    co_return rpc::Status();
  }
  Task<rpc::Status> PingPong(rpc::ServerContext&, rpc::Reader<Payload>& requests,
                             rpc::Writer<Payload>& responses) override {
    Payload message;
    for (;;) {
      const bool more = co_await requests.receive(message);
      if (!more) co_return requests.status();
      co_await responses.send(message);
    }
  }
};

int serve(const std::string& port, const char* cert, const char* key) {
  http::Router router;
  router.mount("/", rpc::serve(std::make_shared<EchoService>()));
  ServerOptions options;
  options.certificate(cert, key);
  Server server(options.listen("[::]:" + port));
  const auto started = server.start(router);
  if (!started) return std::fprintf(stderr, "%s\n", started.error().to_string().c_str()), 1;
  std::printf("listening\n");
  std::fflush(stdout);
  server.wait();
  return 0;
}

struct Load {
  explicit Load(Runtime& world) : runtime(world), done(world) {}
  Runtime& runtime;
  Signal done;
  /// Whether to begin with another.
  bool more() const { return most > 0 ? count + failed < most : runtime.now() < end; }
  std::uint64_t most = 0;  // calls; 0: as many as go
  Timestamp begun{};
  Timestamp end{};
  std::size_t left = 0;
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  std::vector<Duration> took;
};

Task<void> call_unary(Echo::Client client, Load& load) {
  Payload request;
  request.set_body(std::string(64, 'x'));
  Payload response;
  while (load.more()) {
    rpc::ClientContext context;
    const Timestamp begun = load.runtime.now();
    const rpc::Status status = co_await client.Unary(context, request, response);
    ++(status.ok() && response.body().size() == 64 ? load.count : load.failed);
    load.took.push_back(load.runtime.now() - begun);
  }
  if (--load.left == 0) load.done.notify();
}

/// A call after the other, each of 10,000 messages of 1 KiB.
Task<void> download(Echo::Client client, Load& load) {
  Wanted wanted;
  wanted.set_count(10'000);
  wanted.set_size(1024);
  Payload response;
  while (load.more()) {
    rpc::ClientContext context;
    auto call = co_await client.Download(context, wanted);
    if (!call) break;
    for (;;) {
      const bool more = co_await call->receive(response);
      if (!more) break;
      ++load.count;
    }
    const rpc::Status status = co_await call->finish();
    if (!status.ok()) ++load.failed;
  }
  if (--load.left == 0) load.done.notify();
}

Task<void> ping_pong(Echo::Client client, Load& load) {
  Payload message;
  message.set_body(std::string(64, 'x'));
  rpc::ClientContext context;
  auto call = co_await client.PingPong(context);
  while (call && load.more()) {
    const Timestamp begun = load.runtime.now();
    co_await call->send(message);
    const bool received = co_await call->receive(message);
    if (!received) break;
    ++load.count;
    load.took.push_back(load.runtime.now() - begun);
  }
  if (call) {
    const rpc::Status status = co_await call->finish();
    if (!status.ok()) ++load.failed;
  }
  if (--load.left == 0) load.done.notify();
}

Task<void> run_load(Echo::Client client, const std::string& what, std::size_t concurrent,
                    Duration duration, Load& load) {
  Scope scope(load.runtime.ready());
  load.begun = load.runtime.now();
  load.end = load.begun + duration;
  load.left = concurrent;
  for (std::size_t i = 0; i < concurrent; ++i) {
    scope.spawn(what == "download"
                    ? download(client, load)
                    : (what == "pingpong" ? ping_pong(client, load) : call_unary(client, load)));
  }
  co_await load.done.wait();
}

int call(char** arguments) {
  const std::string wire = arguments[4];
  auto network = engine::open();
  if (!network) return std::fprintf(stderr, "%s\n", network.error().to_string().c_str()), 1;
  Runtime runtime(**network);
  ClientOptions options;
  options.ca_file(arguments[3]);
  options.protocols(wire == "h3" ? ClientProtocols::http3_only : ClientProtocols::http2_only);
  Client client(runtime, **network, std::move(options));
  const std::string what = arguments[5];
  rpc::ChannelOptions calls;
  if (what == "json") {
    calls.dialect = &rpc::connect_client_dialect();
    calls.codec = rpc::Codec::json;
  }
  auto channel = rpc_channel(runtime, client, {arguments[2]}, calls);
  if (!channel) return std::fprintf(stderr, "%s\n", channel.error().to_string().c_str()), 1;
  Load load(runtime);
  const std::string_view length = arguments[7];
  if (length.ends_with('x')) load.most = std::strtoull(arguments[7], nullptr, 10);
  const double seconds = std::atof(arguments[7]);
  const auto concurrent = static_cast<std::size_t>(std::atoi(arguments[6]));
  const auto duration =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  runtime.block_on(run_load(Echo::Client(**channel), what, concurrent, duration, load));
  const std::chrono::duration<double> took = runtime.now() - load.begun;
  std::sort(load.took.begin(), load.took.end());
  const double p50 =
      load.took.empty() ? 0 : static_cast<double>(load.took[load.took.size() / 2].count()) / 1000;
  std::printf("%llu calls, %llu failed, %.0f/s, p50 %.1f us\n",
              static_cast<unsigned long long>(load.count),
              static_cast<unsigned long long>(load.failed),
              static_cast<double>(load.count) / took.count(), p50);
  channel->reset();
  runtime.block_on(client.close());
  return load.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string role = count > 1 ? arguments[1] : "";
  if (role == "server" && count == 5) return serve(arguments[2], arguments[3], arguments[4]);
  if (role == "client" && count == 8) return call(arguments);
  std::fputs(
      "usage: rpc_bench server PORT CERT KEY\n"
      "       rpc_bench client URL CA h3|h2 unary|json|download|pingpong CONCURRENT "
      "SECONDS|COUNTx\n",
      stderr);
  return 2;
}
