#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "http/fallback/http1_request.h"
#include "http/fallback/http1_session.h"

namespace tern::fallback {

namespace {

/// A chunk, or what is put at once of a body, is at most that long: what else is to be sent gets
/// its turn, and no write comes near a stream's limit.
constexpr std::size_t kMaxPiece = 64 * 1024;
constexpr std::size_t kMinPiece = 16 * 1024;
/// RFC 9110 §10.1.1: a client does not wait for 100 without end.
constexpr Duration kContinueWait = std::chrono::seconds(1);

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool Http1Session::produce() { return is_server() ? produce_responses() : produce_requests(); }

// ---- server -------------------------------------------------------------------------------------

bool Http1Session::produce_responses() {
  pump_held();
  while (!over() && !ending() && !queue_.empty()) {
    Http1Stream& front = *queue_.front();
    if (front.aborted) {
      end(Error(Code::cancelled, "a response was given up"));
      return true;
    }
    if (!put_message(front)) return room() > 0;
    if (!finish_front(front)) return true;
    if (ending()) return true;
    dispatch_next();
    pump_held();
  }
  if (over() || ending() || !queue_.empty()) return true;
  if (!last_words_.empty()) {
    put(std::exchange(last_words_, std::string()));
    end_when_sent(Error(Domain::http, 400, failure_reason_, Origin::remote));
    return true;
  }
  maybe_resume();
  if (draining_ && streams_.empty() && parser_.idle() && held_.empty()) {
    last_ = true;
    end_when_sent(Error::closed("drained"));
  }
  return true;
}

/// All of the response is sent. Returns whether the request is over as well.
bool Http1Session::finish_front(Http1Stream& front) {
  if (front.tunnel && !front.receiving_done) {
    finish_sending();
    if (!front.unread) return false;
    front.receiving_done = true;
  } else if (!front.receiving_done && !front.close_after) {
    if (!front.unread) return false;  // the handler still reads
    if (!front.expects_continue && rest_is_small(front)) return false;
    front.close_after = true;
  }
  if (reading_ == &front) reading_ = nullptr;
  const bool last = front.close_after || front.tunnel;
  queue_.erase(queue_.begin());
  if (front.ends() == nullptr) remove(front);
  if (last) {
    last_ = true;
    end_when_sent(Error::closed("the last response was sent"));
  }
  return true;
}

// ---- client -------------------------------------------------------------------------------------

bool Http1Session::produce_requests() {
  while (!over() && !ending() && !queue_.empty()) {
    Http1Stream& front = *queue_.front();
    if (!front.head_put) {
      if (front.aborted || front.ends() == nullptr) {
        queue_.erase(queue_.begin());
        if (front.ends() == nullptr) remove(front);
        continue;
      }
      if (last_) {
        refuse_waiting(Error(Code::rejected, "the connection takes no more requests"));
        break;
      }
    }
    if (!put_message(front)) return room() > 0;
    if (front.tunnel) finish_sending();
    if (!front.receiving_done) return true;
    response_complete(front);
  }
  if (!over() && !ending() && draining_ && streams_.empty()) {
    last_ = true;
    end_when_sent(Error::closed("drained"));
  }
  return true;
}

// ---- messages -----------------------------------------------------------------------------------

bool Http1Session::put_message(Http1Stream& stream) {
  if (stream.sent) return true;
  if (is_server()) {
    while (!stream.interim.empty()) {
      const Http1Stream::Head interim = stream.interim.pop();
      text_.clear();
      put_status_line(interim.status);
      for (const http::Field field : interim.fields) {
        if (http::Fields::connection_specific(field.name, field.value)) continue;
        append_field(text_, field.name, field.value);
      }
      text_ += "\r\n";
      put(text_);
    }
  }
  if (!stream.has_head) return false;
  if (!stream.head_put) {
    if (is_server()) {
      put_response_head(stream);
    } else {
      put_request_head(stream);
    }
  }
  put_body(stream);
  return stream.sent;
}

void Http1Session::put_status_line(http::Status status) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), http::code(status)).ptr;
  text_.append("HTTP/1.1 ").append(digits.begin(), end).append(" ");
  text_.append(http::reason(status)).append("\r\n");
}

void Http1Session::put_response_head(Http1Stream& stream) {
  const http::Status status = stream.final_head.status;
  const http::Fields& fields = stream.final_head.fields;
  const int number = http::code(status);
  stream.head_put = true;
  counts().responses.add();
  text_.clear();
  if (stream.may_switch && number < 300) {
    const bool websocket = !stream.websocket_key.empty();
    put_status_line(websocket ? http::Status::switching_protocols : status);
    for (const http::Field field : fields) {
      if (http::Fields::connection_specific(field.name, field.value)) continue;
      append_field(text_, field.name, field.value);
    }
    if (websocket) {
      append_field(text_, "connection", "Upgrade");
      append_field(text_, "upgrade", "websocket");
      append_field(text_, "sec-websocket-accept", websocket_accept(stream.websocket_key));
    }
    text_ += "\r\n";
    put(text_);
    switch_to_tunnel(stream);
    return;
  }
  if (stream.may_switch) {
    // Refused: what follows is the next request.
    stream.may_switch = false;
    stream.receiving_done = true;
    if (stream.ends() != nullptr) stream.ends()->incoming().finish();
  }

  put_status_line(status);
  bool has_length = false;
  bool has_upgrade = false;
  if (!alt_svc().empty() && !fields.contains("alt-svc")) append_field(text_, "alt-svc", alt_svc());
  for (const http::Field field : fields) {
    if (field.name == "connection") {
      stream.close_after = stream.close_after || has_token(field.value, "close");
      continue;
    }
    has_upgrade = has_upgrade || field.name == "upgrade";
    if (http::Fields::connection_specific(field.name, field.value) && field.name != "upgrade") {
      continue;
    }
    has_length = has_length || field.name == "content-length";
    append_field(text_, field.name, field.value);
  }
  if (!stream.bodyless && !has_length) {
    stream.chunked = !stream.http10;
    stream.to_end = stream.http10;
    if (stream.chunked) append_field(text_, "transfer-encoding", "chunked");
  }
  if (draining()) last_ = true;
  const bool unread_rest = stream.unread && !stream.receiving_done &&
                           (stream.expects_continue || !rest_is_small(stream));
  stream.close_after = stream.close_after || !stream.keep_alive || stream.to_end || unread_rest ||
                       (last_ && last_words_.empty() && queue_.back() == &stream);
  if (stream.close_after) {
    last_ = true;
    append_field(text_, "connection", has_upgrade ? "close, upgrade" : "close");
  } else if (has_upgrade) {
    append_field(text_, "connection", "upgrade");
  } else if (stream.http10) {
    append_field(text_, "connection", "keep-alive");
  }
  text_ += "\r\n";
  put(text_);
}

void Http1Session::put_request_head(Http1Stream& stream) {
  stream.head_put = true;
  ++total_requests_;
  counts().requests.add();
  if (!stream.head.protocol.empty()) {
    std::array<std::uint8_t, 16> nonce{};
    runtime().random().fill(nonce);
    stream.websocket_key = websocket_key(nonce);
  }
  const bool body = !stream.bodyless;
  stream.chunked = body && !stream.may_switch && !stream.head.fields.contains("content-length");
  const auto expect = stream.head.fields.find("expect");
  if (body && expect && has_token(*expect, "100-continue")) {
    stream.hold_body = true;
    stream.hold_until = now() + kContinueWait;
    watch(stream.hold_until);
  }
  text_.clear();
  const ForwardProxy* proxy = hooks().proxy ? &*hooks().proxy : nullptr;
  write_request(stream.head, stream.websocket_key, body, proxy, text_);
  put(text_);
  if (stream.head_request) parser_.expect_no_body();
}

void Http1Session::put_body(Http1Stream& stream) {
  // Nobody knows yet whether it is a tunnel.
  if (stream.hold_body || (stream.may_switch && !stream.tunnel)) return;
  while (stream.has_body() && room() > 0) {
    Bytes piece = stream.take_piece(std::clamp(room(), kMinPiece, kMaxPiece));
    if (!stream.chunked) {
      put(std::move(piece));
      continue;
    }
    std::array<char, 18> line{};
    char* end = std::to_chars(line.begin(), line.end(), piece.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    put(std::string_view(line.data(), static_cast<std::size_t>(end - line.data())));
    put(std::move(piece));
    put("\r\n");
  }
  if (stream.ends() != nullptr) stream.ends()->outgoing().drained();
  if (stream.has_body() || !stream.body_ended) return;
  if (stream.chunked) {
    text_ = "0\r\n";
    for (const http::Field field : stream.trailers) append_field(text_, field.name, field.value);
    text_ += "\r\n";
    put(text_);
  }
  stream.sent = true;
}

}  // namespace tern::fallback
