#include "tools/interop/link.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "http3/error_code.h"

namespace tern::interop {

using namespace std::chrono_literals;

namespace {
/// Of quic::CidConfig's default: its first octet, the worker's index and six bytes.
constexpr std::size_t kOwnCidLength = 8;
}  // namespace

/// The protocol's session, with the link looking over its shoulder.
class Link::Application final : public quic::Application {
 public:
  Application(Link& link, std::unique_ptr<quic::Application> protocol) noexcept
      : link_(link), protocol_(std::move(protocol)) {}

  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::closed) link_.seen(event);
    protocol_->handle(event);
    if (event.type != quic::Event::Type::closed) link_.seen(event);
  }

 private:
  Link& link_;
  std::unique_ptr<quic::Application> protocol_;
};

Link::Link(Runtime& runtime, udp::Network& network)
    : runtime_(runtime), changed_(runtime), tap_(network, kOwnCidLength), context_(runtime) {
  tap_.on_received = [this] { changed_.notify_all(); };
}

Link::~Link() = default;

Task<Result<void>> Link::connect(LinkSettings settings) {
  settings_ = std::move(settings);
  quic::EndpointOptions options;
  options.transport = settings_.transport;
  options.qlog = settings_.facts ? collect_qlog(facts_, settings_.qlog) : settings_.qlog;
  auto endpoint = quic::BoundEndpoint::create(runtime_, tap_, std::move(options));
  if (!endpoint) co_return fail(std::move(endpoint).error());
  endpoint_ = std::move(*endpoint);
  const auto local = bind(settings_.remote.is_v4() ? udp::Address::v4(INADDR_ANY, 0)
                                                   : udp::Address::v6(in6addr_any, 0));
  if (!local) co_return fail(local.error());

  quic::ConnectOptions connect;
  connect.context = settings_.context;
  connect.local = *local;
  connect.remote = settings_.remote;
  connect.server_name = settings_.server_name;
  connect.alpn.assign(1, settings_.alpn);
  connect.session = settings_.session;
  connect.early_data = settings_.early_data;
  connect.more_parameters = settings_.more_parameters;
  connect.reserved_version = settings_.reserved_version;
  begun_ = runtime_.now();
  quic::BoundEndpoint::ApplicationFactory factory = [this](quic::Connection& connection) {
    return make_application(connection);
  };
  std::function<void(const Error&)> failed = [this](const Error& error) {
    end_ = error;
    connection_ = nullptr;
    changed_.notify_all();
  };
  auto made = endpoint_->connect(connect, std::move(factory), std::move(failed));
  if (!made) co_return fail(std::move(made).error());
  connection_ = *made;
  while (!ready_ && !end_) co_await changed_.wait();
  if (end_) co_return fail(*end_);
  if (settings_.early_data) co_return Result<void>();
  Result<void> complete = co_await handshake();
  co_return complete;
}

Task<Result<void>> Link::handshake() {
  while (!complete_ && !end_) co_await changed_.wait();
  if (!complete_) co_return fail(*end_);
  co_return Result<void>();
}

Task<bool> Link::until(const std::function<bool()>& condition, Duration limit) {
  const Timestamp deadline = runtime_.now() + limit;
  Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify_all(); });
  timer.arm(deadline);
  while (!condition()) {
    if (end_ || runtime_.now() >= deadline) co_return false;
    co_await changed_.wait();
  }
  co_return true;
}

std::unique_ptr<quic::Application> Link::make_application(quic::Connection& connection) {
  http3::ClientHooks hooks;
  if (settings_.session) hooks.remembered = settings_.session->application;
  hooks.session = [this](quic::Session session) {
    sessions_.push_back(std::move(session));
    changed_.notify_all();
  };
  ready_ = true;
  changed_.notify_all();
  std::unique_ptr<quic::Application> protocol;
  if (settings_.alpn == "h3") {
    auto session = context_.connect(connection, std::move(hooks));
    session_ = session.get();
    session_->set_router(this);
    protocol = std::move(session);
  } else {
    auto session = http3::HqSession::connect(runtime_, connection, std::move(hooks));
    hq_ = session.get();
    protocol = std::move(session);
  }
  return std::make_unique<Application>(*this, std::move(protocol));
}

void Link::seen(const quic::Event& event) {
  using Type = quic::Event::Type;
  switch (event.type) {
    case Type::handshake_completed:
      complete_ = true;
      handshake_time_ = runtime_.now() - begun_;
      break;
    case Type::handshake_confirmed: confirmed_ = true; break;
    case Type::early_data_rejected: early_data_rejected_ = true; break;
    case Type::path_changed: ++path_changes_; break;
    case Type::closed:
      last_info_ = event.connection->handshake();
      last_stats_ = event.connection->stats();
      last_path_ = event.connection->path();
      end_ = event.connection->close_reason();
      connection_ = nullptr;
      session_ = nullptr;
      hq_ = nullptr;
      break;
    default: break;
  }
  changed_.notify_all();
}

void Link::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  if (event.type == Type::stream_data && event.stream == raw_stream_) {
    const std::size_t room = kMaxRaw - raw_.size();
    const ByteView data = event.data.view().first(std::min(room, event.data.size()));
    raw_.insert(raw_.end(), data.begin(), data.end());
    raw_ended_ = raw_ended_ || event.fin;
  }
  if (event.type == Type::stream_data) {
    event.connection->consumed(event.stream, event.data.size());
  }
  if (event.type == Type::stream_closed && event.stream == raw_stream_) raw_ended_ = true;
  changed_.notify_all();
}

Result<std::unique_ptr<http::ClientExchange>> Link::open() {
  if (session_ != nullptr) return session_->open();
  if (hq_ != nullptr) return hq_->open();
  return fail(end_ ? *end_ : Error::closed("no connection"));
}

Task<Result<Answer>> Link::get(std::string target, std::uint64_t max_body) {
  auto opened = open();
  if (!opened) co_return fail(std::move(opened).error());
  const std::unique_ptr<http::ClientExchange> exchange = std::move(*opened);
  http::RequestHead head;
  head.authority = settings_.authority;
  head.path = std::move(target);
  head.fields = extra_;
  head.fields.add("user-agent", settings_.user_agent);
  head.fields.add("accept", "*/*");
  Answer answer;
  answer.early = !complete_;
  Result<void> sent = co_await exchange->send(head, true);
  if (!sent) co_return fail(std::move(sent).error());
  Result<http::Response> response = co_await exchange->response();
  if (!response) co_return fail(std::move(response).error());
  answer.status = static_cast<int>(http::code(response->status()));
  if (const auto length = response->fields().find("content-length")) {
    answer.length = http::parse_content_length(*length);
  }
  answer.server = response->fields().find("server").value_or(std::string_view());
  for (;;) {
    Result<Bytes> piece = co_await exchange->read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    answer.bytes += piece->size();
    if (answer.bytes > max_body) {
      answer.cut = true;
      exchange->abort();
      break;
    }
  }
  co_return answer;
}

quic::HandshakeInfo Link::info() const {
  return connection_ != nullptr ? connection_->handshake() : last_info_;
}
quic::ConnectionStats Link::stats() const {
  return connection_ != nullptr ? connection_->stats() : last_stats_;
}
udp::Path Link::path() const { return connection_ != nullptr ? connection_->path() : last_path_; }

Result<udp::Address> Link::bind(const udp::Address& ip) {
  udp::SocketOptions socket;
  socket.bind = ip;
  socket.bind.set_port(0);
  socket.unreachable = true;
  return endpoint_->bind(socket);
}

Result<quic::StreamId> Link::send_raw(Bytes bytes, bool unidirectional) {
  if (session_ == nullptr) return fail(end_ ? *end_ : Error::closed("no HTTP/3 connection"));
  auto stream = unidirectional ? connection_->open_uni() : connection_->open_bidi();
  if (!stream) return stream;
  session_->adopt(*stream);
  if (!unidirectional) {
    raw_stream_ = *stream;
    raw_.clear();
    raw_ended_ = false;
  }
  connection_->write(*stream, std::move(bytes), true);
  return stream;
}

void Link::say_close() {
  if (session_ != nullptr) {
    session_->close();
  } else if (hq_ != nullptr) {
    hq_->close();
  } else if (connection_ != nullptr) {
    connection_->close_transport(0, "");
  }
}

Task<void> Link::close() {
  if (connection_ == nullptr) co_return;
  say_close();
  // The packet leaves at the end of this turn; one more makes sure of it.
  co_await runtime_.sleep(1ms);
}

}  // namespace tern::interop
