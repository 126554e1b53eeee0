#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http/fallback/http1_request.h"
#include "http/fallback/http1_session.h"

namespace tern::fallback {

namespace {

/// What is left of a body may be read and thrown away, if it is no longer than that.
constexpr std::uint64_t kMaxRest = 64 * 1024;

http::Fields without_connection_fields(const http::Fields& fields) {
  http::Fields kept;
  for (const http::Field field : fields) {
    if (http::Fields::connection_specific(field.name, field.value)) continue;
    kept.add(field.name, field.value);
  }
  return kept;
}

}  // namespace

// ---- server -------------------------------------------------------------------------------------

void Http1Session::on_request() {
  Http1Head& head = parser_.head();
  Http1Request request;
  const std::uint64_t length = head.framing == Http1Head::Framing::length ? head.length : 0;
  if (const auto failure = read_request(head, stream().secure() ? "https" : "http", request)) {
    return on_failure(*failure);
  }
  Http1Stream& made = add_stream();
  made.head = std::move(request.head);
  made.websocket_key = std::move(request.websocket_key);
  made.safe = http::is_safe(made.head.method);
  made.http10 = head.http10;
  made.keep_alive = head.keep_alive;
  made.expects_continue = request.expects_continue && head.framing != Http1Head::Framing::none;
  made.head_request = made.head.method == "HEAD";
  made.may_switch = made.head.method == "CONNECT";
  made.known_length = head.framing != Http1Head::Framing::chunked;
  queue_.push_back(&made);
  reading_ = &made;
  ++total_requests_;
  counts().requests.add();
  const std::uint64_t most = options().max_requests_per_connection;
  if (!made.keep_alive || draining() || (most != 0 && total_requests_ >= most)) last_ = true;

  if (options().max_body != 0 && length > options().max_body) {
    counts().limit_body.add();
    made.dispatched = made.unread = made.close_after = last_ = true;
    auto exchange = std::make_unique<http::Exchange>(runtime(), made, std::move(made.head));
    made.attach(*exchange);
    answer(std::move(exchange), http::Status::content_too_large);
    return;
  }
  if (head.framing != Http1Head::Framing::none) watch(now() + options().body_timeout);
  dispatch_next();
}

/// Starts the handlers of those whose turn it is: the first request, and with it those behind that
/// may run in any order, for they are safe (RFC 9112 §9.3.2).
void Http1Session::dispatch_next() {
  for (std::size_t i = 0; i < queue_.size() && !over(); ++i) {
    Http1Stream& stream = *queue_[i];
    if (i > 0 && !stream.safe) return;
    if (!stream.dispatched) dispatch(stream);
    if (!stream.safe) return;
  }
}

void Http1Session::dispatch(Http1Stream& stream) {
  stream.dispatched = true;
  auto exchange = std::make_unique<http::Exchange>(runtime(), stream, std::move(stream.head));
  stream.attach(*exchange);
  if (draining()) exchange->drain();
  if (stream.receiving_done) exchange->incoming().finish();
  serve(std::move(exchange));
}

bool Http1Session::rest_is_small(const Http1Stream& stream) const noexcept {
  // What is left of a body of known length; a chunked one is read until too much of it came.
  if (!stream.known_length) return true;
  return parser_.left() <= kMaxRest;
}

void Http1Session::switch_to_tunnel(Http1Stream& stream) {
  stream.tunnel = true;
  stream.may_switch = false;
  stream.chunked = stream.to_end = false;
  stream.keep_alive = false;
  last_ = true;
  parser_.tunnel();
  reading_ = &stream;
  wake();  // what came behind the request is the tunnel's
}

// ---- client -------------------------------------------------------------------------------------

Result<std::unique_ptr<http::ClientExchange>> Http1Session::open() {
  TERN_CHECK(!is_server());
  if (!accepts_requests()) {
    return fail(Error(Code::rejected, "the connection takes no more requests"));
  }
  if (streams_.size() >= options().max_waiting_requests) {
    counts().limit_waiting.add();
    return fail(Error::limit("too many requests wait for those before them"));
  }
  Http1Stream& stream = add_stream();
  auto exchange = std::make_unique<http::ClientExchange>(runtime(), stream);
  stream.attach(*exchange);
  return exchange;
}

bool Http1Session::accepts_requests() const noexcept {
  return !is_server() && !over() && !ending() && !draining_ && !last_;
}

void Http1Session::submit(Http1Stream& stream) {
  queue_.push_back(&stream);
  wake();
}

void Http1Session::refuse_waiting(const Error& error) {
  std::vector<Http1Stream*> waiting;
  for (const auto& stream : streams_) {
    if (!stream->head_put) waiting.push_back(stream.get());
  }
  for (Http1Stream* stream : waiting) {
    counts().rejected.add();
    stream->let_go(error);
    remove(*stream);
  }
}

void Http1Session::on_response() {
  Http1Head& head = parser_.head();
  if (queue_.empty() || !queue_.front()->head_put || queue_.front()->receiving_done) {
    return on_failure({502, "a response to no request"});
  }
  Http1Stream& stream = *queue_.front();
  auto* exchange = static_cast<http::ClientExchange*>(stream.ends());
  const int status = head.status;
  if (status < 100) return on_failure({502, "a status below 100"});
  if (status < 200 && status != 101) {
    if (!glitches_.allow(now())) {
      counts().limit_glitches.add();
      return on_failure({502, "too many interim responses"});
    }
    if (stream.head_request) parser_.expect_no_body();
    if (status == 100 && stream.hold_body) {
      stream.hold_body = false;
      wake();
    }
    if (exchange != nullptr) {
      exchange->on_interim(static_cast<http::Status>(status),
                           without_connection_fields(head.fields));
    }
    return;
  }
  stream.last_received = now();
  stream.keep_alive = head.keep_alive;
  const bool handshake = !stream.websocket_key.empty();
  if (status == 101) {
    const auto upgrade = head.fields.joined("upgrade");
    const auto accept = head.fields.find("sec-websocket-accept");
    if (!handshake || !head.upgrade || !upgrade || !has_token(*upgrade, "websocket") || !accept ||
        *accept != websocket_accept(stream.websocket_key)) {
      return on_failure({502, handshake ? "the server's WebSocket handshake is not RFC 6455's"
                                        : "an upgrade that was not asked for"});
    }
    head.fields.remove("sec-websocket-accept");
  } else if (handshake && status < 300) {
    // A refusal, though not by its number (RFC 6455 §4.1).
    return end(Error(Domain::http, static_cast<std::uint64_t>(status),
                     "the server answered the WebSocket handshake without upgrading",
                     Origin::remote));
  }
  const bool tunnel = status == 101 || (stream.may_switch && !handshake && status < 300);
  if (tunnel) {
    switch_to_tunnel(stream);
  } else {
    stream.may_switch = false;
    reading_ = &stream;
    if (stream.hold_body) {
      // It did not want the body, which was announced: nothing else can be sent after that.
      stream.hold_body = false;
      stream.drop_body();
      stream.sent = true;
      stream.keep_alive = false;
      if (exchange != nullptr) {
        exchange->outgoing().fail(
            Error(Code::closed, "the server answered without wanting the body", Origin::remote));
      }
    }
    if (handshake) stream.sent = true;
  }
  if (!stream.keep_alive && !last_) {
    last_ = true;
    tell_goaway();
  }
  if (const auto value = head.fields.find("alt-svc"); value && hooks().alt_svc) {
    hooks().alt_svc(*value);
  }
  if (exchange != nullptr) {
    exchange->on_response(static_cast<http::Status>(status == 101 ? 200 : status),
                          without_connection_fields(head.fields));
  }
  wake();
}

/// Both messages are over.
void Http1Session::response_complete(Http1Stream& stream) {
  const bool last = !stream.keep_alive || stream.tunnel || last_;
  queue_.erase(queue_.begin());
  if (stream.ends() == nullptr) remove(stream);
  if (!last) return;
  last_ = true;
  tell_goaway();
  refuse_waiting(Error(Code::rejected, "the server takes no more requests on this connection",
                       Origin::remote));
  end_when_sent(Error(Code::closed, "the server ends the connection", Origin::remote));
}

}  // namespace tern::fallback
