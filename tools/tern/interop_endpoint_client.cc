#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "http/uri.h"
#include "tools/tern/environment.h"
#include "tools/tern/interop_endpoint.h"
#include "tools/tern/interop_endpoint_connection.h"
#include "tools/tern/terminal.h"
#include "transport/tls/client_context.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

/// Connections open at once where every request has its own: enough to be done in time when a
/// handshake takes many seconds, too few to fill the queue of a slow link.
constexpr std::size_t kMaxConnections = 8;
/// The server sends its ticket with the first flight after the handshake.
constexpr Duration kTicketPatience = 10s;

class InteropClient {
 public:
  InteropClient(const InteropEndpointOptions& options, const InteropCase& test, Runtime& runtime,
                udp::Network& network)
      : options_(options),
        test_(test),
        runtime_(runtime),
        network_(network),
        http3_(runtime, session_options()) {}

  /// False: something failed, and stderr says what.
  Task<bool> run() {
    Result<void> prepared = co_await prepare();
    if (!prepared) {
      complain("", prepared.error());
      co_return false;
    }
    switch (test_.connections) {
      case InteropConnections::one: co_await visit(urls_, false); break;
      case InteropConnections::resumed:
      case InteropConnections::early_data: co_await visit_twice(); break;
      case InteropConnections::each: co_await visit_for_each(); break;
    }
    co_return failures_ == 0 && fetched_ == urls_.size();
  }

 private:
  using Urls = std::vector<http::Url>;

  static http3::SessionOptions session_options() {
    http3::SessionOptions options;
    options.max_waiting_requests = http3::HqSession::kMaxWaiting;  // multiplexing asks for 1999
    return options;
  }

  Task<Result<void>> prepare() {
    if (options_.requests.empty()) co_return fail(Error::invalid("REQUESTS names no URL"));
    for (const std::string& text : options_.requests) {
      auto url = http::Url::parse(text);
      if (!url) co_return fail(std::move(url).error());
      if (!urls_.empty() && url->origin() != urls_.front().origin()) {
        co_return fail(Error::invalid("REQUESTS: one server at a time, not " + url->origin()));
      }
      if (file_of(*url).empty()) co_return fail(Error::invalid(text + " names no file"));
      urls_.push_back(std::move(*url));
    }
    tls::ClientContextOptions context;
    context.ca_file(options_.certificates + "/ca.pem")
        .chacha20_only(test_.chacha20)
        .key_log(key_log_from_environment());
    auto tls = tls::ClientContext::create(context);
    if (!tls) co_return fail(std::move(tls).error());
    tls_ = std::move(*tls);

    Result<std::vector<udp::Address>> addresses =
        co_await look_up(runtime_, network_, urls_.front().host(), urls_.front().port());
    if (!addresses) co_return fail(std::move(addresses).error());
    remote_ = addresses->front();

    quic::EndpointOptions settings;
    settings.transport = interop_transport(test_);
    settings.qlog = qlog_from_environment();
    auto endpoint = quic::BoundEndpoint::create(runtime_, network_, std::move(settings));
    if (!endpoint) co_return fail(std::move(endpoint).error());
    endpoint_ = std::move(*endpoint);
    udp::SocketOptions socket;
    socket.bind =
        remote_.is_v4() ? udp::Address::v4(INADDR_ANY, 0) : udp::Address::v6(in6addr_any, 0);
    auto local = endpoint_->bind(socket);
    if (!local) co_return fail(std::move(local).error());
    local_ = *local;
    co_return Result<void>();
  }

  quic::ConnectOptions connect_options() const {
    quic::ConnectOptions connect;
    connect.context = tls_;
    connect.local = local_;
    connect.remote = remote_;
    connect.server_name = urls_.front().host();
    const std::string by_case = test_.http3 ? "h3" : "hq-interop";
    connect.alpn.assign(1, options_.alpn.empty() ? by_case : options_.alpn);
    return connect;
  }

  // ---- connections

  /// The first file, then the others on a resumed connection.
  Task<void> visit_twice() {
    if (urls_.size() < 2) {
      complain("", Error::invalid("resumption wants two URLs"));
      co_return;
    }
    Urls first(urls_.begin(), urls_.begin() + 1);
    Urls rest(urls_.begin() + 1, urls_.end());
    co_await visit(std::move(first), true);
    if (!ticket_) {
      complain("", Error(Code::not_found, "the server sent no ticket"));
      co_return;
    }
    co_await visit(std::move(rest), false);
  }

  Task<void> visit_for_each() {
    Signal done(runtime_);
    Scope scope(runtime_.ready());
    std::size_t running = 0;
    for (const http::Url& url : urls_) {
      while (running >= kMaxConnections) co_await done.wait();
      ++running;
      scope.spawn(visit_and_tell(Urls(1, url), running, done));
    }
    while (running > 0) co_await done.wait();
  }

  Task<void> visit_and_tell(Urls urls, std::size_t& running, Signal& done) {
    co_await visit(std::move(urls), false);
    --running;
    done.notify();
  }

  /// One connection for these URLs, all at once.
  Task<void> visit(Urls urls, bool want_ticket) {
    InteropConnection connection(runtime_, *endpoint_, http3_);
    Result<void> fetched = co_await fetch_all(connection, std::move(urls));
    if (!fetched) complain("", fetched.error());
    if (fetched && want_ticket) ticket_ = co_await connection.ticket(kTicketPatience);
    if (!connection.handshake().empty()) say(connection.handshake());
    connection.close();
    while (!connection.closed()) co_await runtime_.sleep(1ms);
    // The close packet leaves at the end of this turn; one more makes sure of it.
    co_await runtime_.sleep(1ms);
  }

  Task<Result<void>> fetch_all(InteropConnection& connection, Urls urls) {
    quic::ConnectOptions connect = connect_options();
    if (ticket_) {
      connect.session = ticket_;
      connect.early_data = test_.connections == InteropConnections::early_data;
      ticket_.reset();
    }
    Result<void> connected = co_await connection.connect(std::move(connect));
    if (!connected) co_return connected;
    if (test_.key_update) {
      Result<void> updated = co_await connection.confirmed();
      if (updated) updated = connection.update_keys();
      if (!updated) co_return updated;
    }
    Signal done(runtime_);
    Scope scope(runtime_.ready());
    std::size_t running = urls.size();
    for (const http::Url& url : urls) scope.spawn(fetch_and_tell(connection, url, running, done));
    while (running > 0) co_await done.wait();
    co_return Result<void>();
  }

  // ---- requests

  static std::string file_of(const http::Url& url) {
    return url.path().substr(url.path().rfind('/') + 1);
  }

  Task<void> fetch_and_tell(InteropConnection& connection, const http::Url& url,
                            std::size_t& running, Signal& done) {
    Result<std::uint64_t> size = co_await fetch(connection, url);
    if (size) {
      ++fetched_;
      if (urls_.size() <= kMaxLines) say(fmt::format("{}: {} bytes", url.path(), *size));
    } else {
      complain(url.to_string() + ": ", size.error());
    }
    --running;
    done.notify();
  }

  Task<Result<std::uint64_t>> fetch(InteropConnection& connection, const http::Url& url) {
    Result<std::unique_ptr<http::ClientExchange>> exchange = connection.open();
    if (!exchange) co_return fail(std::move(exchange).error());
    http::RequestHead head;
    head.authority = url.authority();
    head.path = url.target();
    Result<void> sent = co_await (*exchange)->send(head, true);
    if (!sent) co_return fail(std::move(sent).error());
    Result<http::Response> response = co_await (*exchange)->response();
    if (!response) co_return fail(std::move(response).error());
    if (response->status() != http::Status::ok) {
      co_return fail(Error(Domain::http, static_cast<std::uint64_t>(http::code(response->status())),
                           "not the file", Origin::remote));
    }
    const std::string path = options_.downloads + "/" + file_of(url);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    std::uint64_t size = 0;
    while (true) {
      Result<Bytes> piece = co_await (*exchange)->read();
      if (!piece) co_return fail(std::move(piece).error());
      if (piece->empty()) break;
      file.write(piece->text().data(), static_cast<std::streamsize>(piece->size()));
      size += piece->size();
    }
    file.close();
    if (!file) co_return fail(Error::os(errno, "cannot write " + path));
    co_return size;
  }

  // ---- words

  /// Files named one by one at most.
  static constexpr std::size_t kMaxLines = 100;

  void say(const std::string& text) const { tell("{}: {}\n", test_.name, printable(text)); }
  void complain(const std::string& what, const Error& error) {
    ++failures_;
    say(what + (error.domain == Domain::tern ? error.detail : error.to_string()));
  }

  const InteropEndpointOptions& options_;
  const InteropCase& test_;
  Runtime& runtime_;
  udp::Network& network_;
  http3::Context http3_;
  Urls urls_;
  std::shared_ptr<const tls::ClientContext> tls_;
  udp::Address local_;
  udp::Address remote_;
  std::optional<quic::Session> ticket_;
  std::size_t fetched_ = 0;
  std::size_t failures_ = 0;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;  // last: its sessions use the context
};

}  // namespace

bool run_interop_client(const InteropEndpointOptions& options, const InteropCase& test) {
  auto network = engine::open(engine::EngineOptions().kind(options.engine));
  if (!network) fail_with(ExitCode::failed, network.error().detail);
  Runtime runtime(**network);
  InteropClient client(options, test, runtime, **network);
  return runtime.block_on(client.run());
}

}  // namespace tern::cli
