#include "tools/tern/interop_endpoint_connection.h"

#include <utility>

namespace tern::cli {

/// The session, with the owner looking over its shoulder.
class InteropConnection::Application final : public quic::Application {
 public:
  Application(InteropConnection& owner, std::unique_ptr<quic::Application> session)
      : owner_(owner), session_(std::move(session)) {}

  void handle(const quic::Event& event) override {
    using Type = quic::Event::Type;
    if (event.type == Type::handshake_completed) {
      owner_.handshake_ = event.connection->handshake();
      owner_.changed_.notify_all();
    } else if (event.type == Type::handshake_confirmed) {
      owner_.confirmed_ = true;
      event.connection->watch_path([&owner = owner_] { return owner.requests() > 0; }, true);
      owner_.changed_.notify_all();
    }
    session_->handle(event);
  }

 private:
  InteropConnection& owner_;
  std::unique_ptr<quic::Application> session_;
};

std::unique_ptr<quic::Application> InteropConnection::begin(quic::Connection& connection) {
  http3::ClientHooks hooks;
  hooks.session = [this](quic::Session session) {
    ticket_ = std::move(session);
    changed_.notify_all();
  };
  hooks.closed = [this](const Error& reason) { end(reason); };
  std::unique_ptr<quic::Application> session;
  if (http3_wanted_) {
    auto made = http3_.connect(connection, std::move(hooks));
    h3_ = made.get();
    session = std::move(made);
  } else {
    auto made = http3::HqSession::connect(runtime_, connection, std::move(hooks));
    hq_ = made.get();
    session = std::move(made);
  }
  connection_ = &connection;
  begun_ = true;
  changed_.notify_all();
  return std::make_unique<Application>(*this, std::move(session));
}

void InteropConnection::end(const Error& reason) {
  connection_ = nullptr;
  hq_ = nullptr;
  h3_ = nullptr;
  closed_ = reason;
  changed_.notify_all();
}

Task<Result<void>> InteropConnection::connect(quic::ConnectOptions options) {
  http3_wanted_ = options.alpn.front() == "h3";
  const auto opened = endpoint_.connect(
      options, [this](quic::Connection& connection) { return begin(connection); },
      [this](const Error& reason) { end(reason); });
  if (!opened) end(opened.error());
  while (!begun_ && !closed_) co_await changed_.wait();
  if (closed_) co_return fail(*closed_);
  co_return Result<void>();
}

Task<Result<void>> InteropConnection::confirmed() {
  while (!confirmed_ && !closed_) co_await changed_.wait();
  if (!confirmed_) co_return fail(*closed_);
  co_return Result<void>();
}

Task<std::optional<quic::Session>> InteropConnection::ticket(Duration limit) {
  Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify_all(); });
  const Timestamp deadline = runtime_.now() + limit;
  timer.arm(deadline);
  while (!ticket_ && !closed_ && runtime_.now() < deadline) co_await changed_.wait();
  co_return ticket_;
}

Result<std::unique_ptr<http::ClientExchange>> InteropConnection::open() {
  if (hq_ != nullptr) return hq_->open();
  if (h3_ != nullptr) return h3_->open();
  return fail(closed_ ? *closed_ : Error::closed());
}

std::size_t InteropConnection::requests() const noexcept {
  if (hq_ != nullptr) return hq_->requests();
  return h3_ != nullptr ? h3_->requests() : 0;
}

Result<void> InteropConnection::update_keys() {
  if (connection_ == nullptr) return fail(Error::closed());
  return connection_->update_keys();
}

void InteropConnection::close() {
  if (hq_ != nullptr) hq_->close();
  if (h3_ != nullptr) h3_->close();
}

std::string InteropConnection::handshake() const {
  if (handshake_.version == 0) return {};
  std::string text = handshake_.version == quic::kVersion2 ? "QUICv2" : "QUICv1";
  text += ", " + handshake_.alpn + ", " + handshake_.cipher;
  if (handshake_.retried) text += ", after Retry";
  if (handshake_.resumed) text += ", resumed";
  if (handshake_.early_data_accepted) text += ", 0-RTT accepted";
  if (handshake_.early_data_rejected) text += ", 0-RTT rejected";
  return text;
}

}  // namespace tern::cli
