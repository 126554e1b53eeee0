#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/fifo.h"
#include "base/time.h"
#include "http/carrier.h"
#include "http/exchange.h"
#include "http/message.h"

namespace tern::fallback {

class Http1Session;

/// Internal to http/fallback: one request and its response on an HTTP/1.1 connection, what
/// `http::Exchange` or `http::ClientExchange` stands on. It collects what is to be sent; the
/// session, which owns it, sends it when its turn has come.
class Http1Stream final : public http::Carrier {
 public:
  Http1Stream(Http1Session& session, Timestamp now) noexcept
      : session_(session), last_received(now) {}

  void attach(http::detail::Ends& ends) noexcept { ends_ = &ends; }
  http::detail::Ends* ends() const noexcept { return ends_; }
  /// The connection is over, or this message's part of it.
  void let_go(const Error& error) noexcept;

  // ---- Carrier
  http::Session* session() noexcept override;
  std::string_view protocol() const noexcept override { return "http/1.1"; }
  udp::Path path() const noexcept override;
  bool early_data() const noexcept override { return false; }
  void send_request(const http::RequestHead& head, bool end) override;
  void send_response(http::Status status, http::Fields fields, bool end) override;
  void send_body(Bytes bytes, bool end) override;
  void send_trailers(const http::Fields& trailers) override;
  std::size_t unsent() const noexcept override { return unsent_; }
  void consumed(std::size_t count) override;
  void abort(http::Abort why) override;
  void stop_reading(http::Abort why) override;
  void set_priority(http::Priority) override {}  // one after the other is all there is
  bool send_datagram(ByteView) override { return false; }
  std::size_t max_datagram() const noexcept override { return 0; }
  void detach() noexcept override;

 private:
  Http1Session& session_;
  http::detail::Ends* ends_ = nullptr;
  std::size_t unsent_ = 0;

 public:
  // ---- for the session

  /// The next piece of the body, at most `most` bytes; not without one.
  Bytes take_piece(std::size_t most) noexcept;
  bool has_body() const noexcept { return !body_.empty(); }
  void drop_body() noexcept {
    body_.clear();
    unsent_ = 0;
  }

  std::size_t index = 0;  // in the session's list

  // What comes in.
  http::RequestHead head;     // server: until the handler starts; client: until it is sent
  std::string websocket_key;  // of a handshake
  Timestamp last_received;
  std::uint64_t received = 0;   // bytes of the body
  std::uint64_t discarded = 0;  // of them, those that nobody wanted
  bool safe = false;            // the method is
  bool http10 = false;          // the peer's version
  bool keep_alive = true;       // what the peer said
  bool known_length = false;
  bool receiving_done = false;
  bool unread = false;      // the application does not want the rest
  bool may_switch = false;  // it may become a tunnel; what follows is not read before that is known
  bool tunnel = false;
  bool expects_continue = false;  // nothing of the body has come, nor has 100 been sent
  bool head_request = false;

  // What goes out.
  struct Head {
    http::Status status = http::Status::ok;
    http::Fields fields;
  };
  Fifo<Head> interim;
  Head final_head;
  http::Fields trailers;
  bool dispatched = false;
  bool has_head = false;    // `final_head`, or a client's request, is there
  bool bodyless = false;    // the message ends with its head
  bool body_ended = false;  // the application has given all of it
  bool head_put = false;
  bool chunked = false;
  bool to_end = false;     // the end of the connection ends the body
  bool hold_body = false;  // client: until 100 comes
  Timestamp hold_until = kNever;
  bool sent = false;
  bool close_after = false;
  bool aborted = false;

 private:
  Fifo<Bytes> body_;
};

}  // namespace tern::fallback
