#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "gateway/client.h"
#include "gateway/server.h"
#include "tools/tern/environment.h"
#include "tools/tern/interop_webtransport.h"
#include "tools/tern/serve_log.h"
#include "tools/tern/signals.h"
#include "tools/tern/terminal.h"
#include "webtransport/server.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;
using webtransport::Session;

using Requests = std::map<std::string, std::vector<std::string>>;

void complain(std::string_view what, std::string_view why) {
  tell("tern interop endpoint: {}: {}\n", printable(std::string(what)), why);
}

Requests requests_of(const InteropEndpointOptions& options) {
  auto requests = webtransport_requests(options.requests);
  if (!requests) fail_with(ExitCode::usage, "REQUESTS: " + requests.error().detail);
  return *std::move(requests);
}

/// A session at the server: what is asked for is answered, and what the server has to ask for is
/// asked for. It ends the session when it has all of it.
Task<void> serve(const InteropEndpointOptions& options, const WebTransportCase& test,
                 const Requests& requests, Session& session, std::string endpoint) {
  note_protocol(options, session.protocol());
  const auto found = requests.find(endpoint);
  std::vector<std::string> wanted;
  if (found != requests.end()) wanted = found->second;
  const bool asking = !wanted.empty();
  WebTransportFiles files(session, options, endpoint, test.asks, std::move(wanted));
  co_await files.run();
  if (asking && !files.complete()) complain(endpoint, files.failure());
}

class WebTransportClient {
 public:
  WebTransportClient(const InteropEndpointOptions& options, const WebTransportCase& test,
                     Requests requests, Client& client, Runtime& runtime)
      : options_(options),
        test_(test),
        requests_(std::move(requests)),
        client_(client),
        runtime_(runtime) {}

  Task<bool> run() {
    if (requests_.empty()) {
      complain("REQUESTS", "names no URL");
      co_return false;
    }
    // One after the other, so that all are on one connection; then they work at the same time.
    std::vector<std::unique_ptr<Session>> sessions;
    for (const auto& [endpoint, wanted] : requests_) {
      Result<std::unique_ptr<Session>> session = co_await open(endpoint);
      if (!session) {
        complain(endpoint, session.error().to_string());
        co_return false;
      }
      note_protocol(options_, (*session)->protocol());
      sessions.push_back(std::move(*session));
    }
    Scope scope(runtime_.ready());
    Signal done(runtime_);
    std::size_t left = sessions.size();
    bool fine = true;
    std::size_t number = 0;
    for (const auto& [endpoint, wanted] : requests_) {
      scope.spawn(visit(*sessions[number++], endpoint, wanted, fine, left, done));
    }
    while (left > 0) co_await done.wait();
    for (const auto& session : sessions) co_await session->wait_until_ended();
    co_return fine;
  }

 private:
  Task<Result<std::unique_ptr<Session>>> open(const std::string& endpoint) {
    const std::string& url = options_.requests.front();
    const std::size_t host = url.find("://") + 3;
    ClientRequest request(url.substr(0, url.find('/', host)) + "/" + endpoint);
    webtransport::ClientOptions session;
    session.carrier(webtransport::Carrier::http3);
    for (const std::string& name : options_.protocols) session.protocol(name);
    Result<std::unique_ptr<Session>> opened =
        co_await client_.webtransport(std::move(request), std::move(session));
    co_return opened;
  }

  Task<void> visit(Session& session, std::string endpoint, std::vector<std::string> wanted,
                   bool& fine, std::size_t& left, Signal& done) {
    const bool asking = !wanted.empty();
    // Whoever asks ends the session when it has everything; of a handshake nothing is asked.
    if (asking || test_.name != "handshake") {
      WebTransportFiles files(session, options_, endpoint, test_.asks, std::move(wanted));
      co_await files.run();
      if (asking && !files.complete()) {
        complain(endpoint, files.failure());
        fine = false;
      }
    }
    session.close();
    --left;
    done.notify();
  }

  const InteropEndpointOptions& options_;
  const WebTransportCase& test_;
  Requests requests_;
  Client& client_;
  Runtime& runtime_;
};

}  // namespace

void run_webtransport_server(const InteropEndpointOptions& options, const WebTransportCase& test) {
  const Requests requests = requests_of(options);
  LineWriter lines;
  MessageLog messages(lines, false);
  ServerOptions server_options;
  server_options.certificate(options.certificates + "/cert.pem", options.certificates + "/priv.key")
      .engine(engine::EngineOptions().kind(options.engine))
      .key_log(key_log_from_environment())
      .qlog(qlog_from_environment())
      .tcp(false)
      .log(messages);
  for (const std::string& address : options.listen) server_options.listen(address);
  webtransport::ServerOptions sessions;
  // The runner: the first of the client's list that the server also has.
  sessions.client_preference();
  for (const std::string& name : options.protocols) sessions.protocol(name);
  http::Router router;
  webtransport::route(
      router, "/{endpoint}",
      [&](Session& session, const http::Exchange& exchange) {
        return serve(options, test, requests, session, std::string(exchange.parameter("endpoint")));
      },
      std::move(sessions));

  Server server(std::move(server_options));
  // Before the workers' threads: they leave these signals to this one.
  SignalThread signals({SIGINT, SIGTERM}, [&server](int) { server.stop(); });
  const Result<void> started = server.start(std::move(router));
  if (!started) fail_with(ExitCode::failed, started.error().detail);
  lines.line(LogLevel::info, fmt::format("{}: listening on {}, {}", test.name,
                                         server.addresses().front().to_string(), server.engine()));
  server.wait();
}

bool run_webtransport_client(const InteropEndpointOptions& options, const WebTransportCase& test) {
  ClientOptions made;
  made.ca_file(options.certificates + "/ca.pem")
      .key_log(key_log_from_environment())
      .qlog(qlog_from_environment())
      .protocols(ClientProtocols::http3_only);
  auto network = engine::open(engine::EngineOptions().kind(options.engine));
  if (!network) fail_with(ExitCode::failed, network.error().detail);
  Runtime runtime(**network);
  Client client(runtime, **network, std::move(made));
  WebTransportClient endpoint(options, test, requests_of(options), client, runtime);
  return runtime.block_on(endpoint.run());
}

}  // namespace tern::cli
