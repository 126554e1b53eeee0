#include <utility>
#include <vector>

#include <fmt/format.h>

#include "http3/context.h"
#include "http3/error_code.h"
#include "tools/tern/bench_transport.h"
#include "tools/tern/environment.h"
#include "tools/tern/get_output.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/tls/client_context.h"
#include "webtransport/http3.h"

namespace tern::cli {
namespace {

class BenchQuic final : public BenchTransport {
 public:
  /// Sockets at most; more connections share them.
  static constexpr std::size_t kMaxSockets = 256;

  explicit BenchQuic(const Load& load)
      : BenchTransport(load), http3_(load.runtime, session_options(load)) {}

  Result<void> prepare();
  Result<void> open(BenchConnection& connection, std::size_t number) override;
  void close_all() override {
    endpoint_->endpoint().close_all(http3::code(http3::ErrorCode::no_error), "done");
  }
  bool can_resume() const noexcept override { return session_.has_value(); }

 private:
  class Application;

  static http3::SessionOptions session_options(const Load& load) {
    http3::SessionOptions options;
    if (load.options.webtransport) webtransport::enable_http3(options, load.runtime);
    return options;
  }
  Result<udp::Address> local_address(std::size_t number);

  std::shared_ptr<const tls::ClientContext> tls_;
  http3::Context http3_;
  std::vector<udp::Address> locals_;
  std::optional<quic::Session> session_;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;  // last: its connections use the rest
};

/// A session whose end its BenchConnection hears of.
class BenchQuic::Application final : public quic::Application {
 public:
  Application(BenchQuic& owner, BenchConnection& connection, quic::Connection& quic)
      : owner_(owner), connection_(connection) {
    http3::ClientHooks hooks;
    hooks.session = [&owner](quic::Session session) { owner.session_ = std::move(session); };
    hooks.closed = [&owner, &connection](const Error& reason) { owner.ended(connection, reason); };
    session_ = owner.http3_.connect(quic, std::move(hooks));
    owner.opened(connection, *session_);
  }

  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::handshake_completed) {
      const quic::HandshakeInfo& facts = event.connection->handshake();
      ++owner_.load_.report.handshakes;
      if (facts.resumed) ++owner_.load_.report.resumed;
      if (owner_.handshake_.empty()) {
        owner_.handshake_ =
            fmt::format("{}, {}, {}", version_name(facts.version), facts.cipher, facts.group);
      }
    }
    if (event.type == quic::Event::Type::handshake_confirmed) {
      connection_.confirmed = true;
      owner_.load_.changed.notify_all();
    }
    session_->handle(event);
  }

 private:
  BenchQuic& owner_;
  BenchConnection& connection_;
  std::unique_ptr<http3::Session> session_;
};

Result<void> BenchQuic::prepare() {
  const BenchOptions& options = load_.options;
  tls::ClientContextOptions context;
  context.insecure(options.insecure)
      .chacha20_only(options.chacha20)
      .key_log(key_log_from_environment());
  if (!options.ca_file.empty()) context.ca_file(options.ca_file);
  TERN_TRY(tls_, tls::ClientContext::create(context));
  quic::EndpointOptions settings;
  settings.transport.congestion = options.congestion;
  settings.qlog = qlog_from_environment(options.qlog);
  if (!options.versions.empty()) {
    settings.transport.versions = options.versions;
    settings.transport.first_version = options.versions.front();
  }
  TERN_TRY(endpoint_,
           quic::BoundEndpoint::create(load_.runtime, load_.network, std::move(settings)));
  return {};
}

Result<udp::Address> BenchQuic::local_address(std::size_t number) {
  const std::size_t index = number % kMaxSockets;
  if (index < locals_.size()) return locals_[index];
  udp::SocketOptions socket;
  socket.unreachable = true;
  socket.bind =
      load_.remote.is_v4() ? udp::Address::v4(INADDR_ANY, 0) : udp::Address::v6(in6addr_any, 0);
  TERN_TRY(const udp::Address bound, endpoint_->bind(socket));
  locals_.push_back(bound);
  return bound;
}

Result<void> BenchQuic::open(BenchConnection& connection, std::size_t number) {
  quic::ConnectOptions connect;
  connect.context = tls_;
  TERN_TRY(connect.local, local_address(number));
  connect.remote = load_.remote;
  connect.server_name = load_.url.host();
  if (load_.options.resume && session_) connect.session = session_;
  auto made = endpoint_->connect(
      connect,
      [this, &connection](quic::Connection& quic) -> std::unique_ptr<quic::Application> {
        return std::make_unique<Application>(*this, connection, quic);
      },
      [this, &connection](const Error& error) { ended(connection, error); });
  if (!made) return fail(std::move(made).error());
  return {};
}

}  // namespace

Result<std::unique_ptr<BenchTransport>> BenchTransport::over_quic(Load load) {
  auto made = std::make_unique<BenchQuic>(load);
  if (auto prepared = made->prepare(); !prepared) return fail(std::move(prepared).error());
  return made;
}

}  // namespace tern::cli
