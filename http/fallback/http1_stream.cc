#include "http/fallback/http1_stream.h"

#include <utility>

#include "http/fallback/http1_session.h"

namespace tern::fallback {

void Http1Stream::let_go(const Error& error) noexcept {
  if (ends_ == nullptr) return;
  std::exchange(ends_, nullptr)->carrier_gone(error);
}

http::Session* Http1Stream::session() noexcept { return &session_; }

udp::Path Http1Stream::path() const noexcept { return session_.stream_path(); }

void Http1Stream::send_request(const http::RequestHead& request, bool end) {
  head = request;
  has_head = true;
  bodyless = body_ended = end;
  head_request = request.method == "HEAD";
  may_switch = request.method == "CONNECT";
  session_.submit(*this);
}

void Http1Stream::send_response(http::Status status, http::Fields fields, bool end) {
  if (aborted) return;
  if (http::code(status) < 200) {
    if (status == http::Status::continue_) expects_continue = false;
    // HTTP/1.0 knows none (RFC 9110 §15.2).
    if (!http10) interim.push(Head{status, std::move(fields)});
  } else {
    final_head = Head{status, std::move(fields)};
    has_head = true;
    body_ended = bodyless = end;
  }
  session_.wake_up();
}

void Http1Stream::send_body(Bytes bytes, bool end) {
  if (aborted || sent) return;
  unsent_ += bytes.size();
  if (!bytes.empty()) body_.push(std::move(bytes));
  body_ended = end;
  session_.wake_up();
}

void Http1Stream::send_trailers(const http::Fields& fields) {
  if (aborted || sent) return;
  trailers = fields;
  body_ended = true;
  session_.wake_up();
}

Bytes Http1Stream::take_piece(std::size_t most) noexcept {
  Bytes& front = body_.front();
  if (front.size() <= most) {
    unsent_ -= front.size();
    return body_.pop();
  }
  Bytes piece = front.slice(0, most);
  front.remove_prefix(most);
  unsent_ -= most;
  return piece;
}

void Http1Stream::consumed(std::size_t) {
  last_received = session_.time();
  session_.consumed(*this);
}

void Http1Stream::abort(http::Abort) {
  aborted = true;
  drop_body();
  session_.aborted(*this);
}

void Http1Stream::stop_reading(http::Abort) {
  unread = true;
  session_.consumed(*this);
}

void Http1Stream::detach() noexcept {
  ends_ = nullptr;
  unread = true;
  session_.detached(*this);
}

}  // namespace tern::fallback
