#include "http/websocket.h"

#include <exception>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "http/escape.h"
#include "http/websocket_core.h"

namespace tern::http {

// ---- the awaitables -----------------------------------------------------------------------------

template <bool kWhole>
void WebSocket::Receiving<kWhole>::give_up() noexcept {
  core_.stop_receiving(waiter_);
}

template <bool kWhole>
bool WebSocket::Receiving<kWhole>::await_ready() const noexcept {
  return core_.readable(kWhole);
}

template <bool kWhole>
void WebSocket::Receiving<kWhole>::await_suspend(std::coroutine_handle<> handle) noexcept {
  waiter_.suspend(handle);
  core_.wait_to_receive(waiter_, kWhole);
}

template <bool kWhole>
std::optional<WebSocketMessage> WebSocket::Receiving<kWhole>::await_resume() {
  core_.stop_receiving(waiter_);
  return core_.take();
}

template class WebSocket::Receiving<true>;
template class WebSocket::Receiving<false>;

WebSocket::Send::~Send() { core_.stop_sending(*this); }

bool WebSocket::Send::await_ready() { return core_.try_now(*this); }

void WebSocket::Send::await_suspend(std::coroutine_handle<> handle) {
  waiter_.suspend(handle);
  core_.wait_to_send(*this);
}

Result<void> WebSocket::Send::await_resume() {
  if (error_) return fail(*std::move(error_));
  return {};
}

// ---- the object ---------------------------------------------------------------------------------

WebSocket::WebSocket(detail::Ends& ends, WebSocketProtocol::Role role,
                     std::shared_ptr<const WebSocketOptions> options, WebSocketTerms terms)
    : core_(std::make_unique<WebSocketCore>(ends, role, std::move(options), std::move(terms))) {}

WebSocket::~WebSocket() = default;

bool WebSocket::try_send(bool text, const Bytes& payload) { return core_->try_send(text, payload); }

Task<Result<Duration>> WebSocket::ping() { return core_->ping(); }

void WebSocket::start_close(std::uint16_t code, std::string_view reason) {
  core_->start_close(code, reason);
}

Task<void> WebSocket::close(std::uint16_t code, std::string reason) {
  core_->start_close(code, reason);
  core_->drop_messages();
  co_await core_->wait_until_gone();
}

bool WebSocket::ended() const noexcept { return core_->over(); }
const WebSocketClose& WebSocket::closed() const noexcept { return core_->closed(); }
const std::optional<Error>& WebSocket::error() const noexcept { return core_->error(); }
bool WebSocket::draining() const noexcept { return core_->ends().draining(); }
void WebSocket::set_drain_listener(detail::DrainListener* listener) noexcept {
  core_->set_drain_listener(listener);
}
std::string_view WebSocket::subprotocol() const noexcept { return core_->terms().protocol; }
bool WebSocket::compressed() const noexcept { return core_->terms().deflate.has_value(); }
std::string_view WebSocket::carrier() const noexcept { return core_->ends().protocol(); }
const detail::Ends& WebSocket::ends() const noexcept { return core_->ends(); }
udp::Path WebSocket::path() const noexcept { return core_->ends().path(); }
const WebSocketStats& WebSocket::stats() const noexcept { return core_->stats(); }
Runtime& WebSocket::runtime() const noexcept { return core_->runtime(); }

// ---- servers ------------------------------------------------------------------------------------

/// What `websocket` makes: a handler that knows its handler and options.
class WebSocketRoute {
 public:
  WebSocketRoute(WebSocketHandler handler, WebSocketOptions options)
      : shared_(std::make_shared<const Shared>(std::move(handler), std::move(options))) {}

  Task<void> operator()(Exchange& exchange) const { return run(exchange, shared_); }

 private:
  struct Shared {
    Shared(WebSocketHandler its_handler, WebSocketOptions its_options)
        : handler(std::move(its_handler)), options(std::move(its_options)) {}
    WebSocketHandler handler;
    WebSocketOptions options;
  };

  static Task<void> run(Exchange& exchange, std::shared_ptr<const Shared> shared);
  static void log_refusal(Exchange& exchange, std::string_view why);

  std::shared_ptr<const Shared> shared_;
};

void WebSocketRoute::log_refusal(Exchange& exchange, std::string_view why) {
  exchange.runtime().counters().at("websocket.refused").add();
  LogSink& log = exchange.runtime().log();
  if (!log.enabled(LogLevel::info)) return;
  std::string line = "WebSocket ";
  line.append(escaped(exchange.request().path_only(), 256)).append(": ").append(why);
  log.line(LogLevel::info, line);
}

Task<void> WebSocketRoute::run(Exchange& exchange, std::shared_ptr<const Shared> shared) {
  const WebSocketOptions& options = shared->options;
  WebSocketAnswer answer = answer_websocket(exchange.request(), options);
  if (answer.refusal.empty() && exchange.draining()) {
    answer.refusal = "the server is going away";
    answer.response = Response(Status::service_unavailable);
    answer.response.text(answer.refusal + "\n");
  }
  if (answer.refusal.empty() && options.authorize()) {
    const Status status = options.authorize()(exchange);
    if (status != Status::ok) {
      answer.refusal = reason(status);
      answer.response = Response(status);
      answer.response.text(answer.refusal + "\n");
    }
  }
  if (!answer.refusal.empty()) {
    log_refusal(exchange, answer.refusal);
    co_await exchange.respond(std::move(answer.response));
    co_return;
  }
  const Result<void> started = co_await exchange.start(std::move(answer.response));
  if (!started) co_return;

  const std::shared_ptr<const WebSocketOptions> kept(shared, &options);
  WebSocket socket(exchange, WebSocketProtocol::Role::server, kept, std::move(answer.terms));
  socket.exchange_ = &exchange;
  std::exception_ptr thrown;
  try {
    co_await shared->handler(socket);
  } catch (...) {
    thrown = std::current_exception();
  }
  const std::uint16_t code = thrown ? websocket_code::kInternalError : websocket_code::kNormal;
  co_await socket.close(code);
  if (thrown) std::rethrow_exception(thrown);
}

Handler websocket(WebSocketHandler handler, WebSocketOptions options) {
  TERN_CHECK(handler);
  return WebSocketRoute(std::move(handler), std::move(options));
}

// ---- clients ------------------------------------------------------------------------------------

Task<Result<std::unique_ptr<WebSocket>>> open_websocket(std::unique_ptr<ClientExchange> exchange,
                                                        RequestHead request,
                                                        WebSocketOptions options,
                                                        std::shared_ptr<void> owner) {
  const Result<void> complete = complete_websocket_request(request, options);
  if (!complete) co_return fail(complete.error());
  const Result<void> sent = co_await exchange->send(request, false);
  if (!sent && sent.error().is(Code::invalid)) co_return fail(sent.error());
  Result<std::unique_ptr<WebSocket>> socket =
      co_await await_websocket(std::move(exchange), std::move(options), std::move(owner));
  co_return socket;
}

Task<Result<std::unique_ptr<WebSocket>>> await_websocket(std::unique_ptr<ClientExchange> exchange,
                                                         WebSocketOptions options,
                                                         std::shared_ptr<void> owner) {
  const Result<Response> head = co_await exchange->response();
  if (!head) co_return fail(head.error());
  co_return accept_websocket(std::move(exchange), *head, std::move(options), std::move(owner));
}

Result<std::unique_ptr<WebSocket>> accept_websocket(std::unique_ptr<ClientExchange> exchange,
                                                    const Response& answer,
                                                    WebSocketOptions options,
                                                    std::shared_ptr<void> owner) {
  TERN_TRY(WebSocketTerms terms, confirm_websocket(answer, options));
  auto kept = std::make_shared<const WebSocketOptions>(std::move(options));
  auto socket = std::make_unique<WebSocket>(*exchange, WebSocketProtocol::Role::client,
                                            std::move(kept), std::move(terms));
  socket->owner_ = std::move(owner);
  socket->client_ = std::move(exchange);
  return socket;
}

}  // namespace tern::http
