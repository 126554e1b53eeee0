#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/fallback/http1_scanner.h"
#include "http/fields.h"

namespace tern::fallback {

/// The first part of a message as it was sent.
struct Http1Head {
  enum class Framing : std::uint8_t {
    none,     ///< no body
    length,   ///< `length` bytes
    chunked,  ///< with trailers perhaps
    to_end,   ///< a response's, until the connection ends
  };

  std::string method;  // a request's
  std::string target;
  int status = 0;  // a response's
  bool http10 = false;
  /// The connection may be used after the message (RFC 9112 §9.3).
  bool keep_alive = false;
  /// `connection` names upgrade.
  bool upgrade = false;
  Framing framing = Framing::none;
  std::uint64_t length = 0;
  http::Fields fields;  // every line
};

/// Reads the messages of one direction of a connection (RFC 9112), piece by piece: Boost.Beast's
/// parser behind a scanner that is stricter than it. Sans-IO; nothing is copied but what is split
/// between two pieces. What allows two readings of where a message ends is refused: content-length
/// beside transfer-encoding, either more than once, a transfer coding after chunked.
class Http1Parser {
 public:
  /// `requests`: on a server. The limits outlive the parser.
  Http1Parser(bool requests, const Http1Limits& limits);
  ~Http1Parser();
  Http1Parser(const Http1Parser&) = delete;
  Http1Parser& operator=(const Http1Parser&) = delete;

  enum class Event : std::uint8_t {
    more,    ///< all bytes are used
    head,    ///< `head()` is there
    body,    ///< `body()` is a piece of the body
    end,     ///< of a message; `trailers()` may be there
    failed,  ///< `failure()` says why; nothing more can be read
  };
  /// Takes bytes from the front of `bytes`.
  Event next(ByteView& bytes);
  /// The peer has finished. `end` if that ends a body, `more` if nothing had begun, else `failed`.
  Event finish();

  /// The response to come has no body although it may say so: its request was HEAD.
  void expect_no_body() noexcept { no_body_ = true; }
  /// After `head`: what follows is a tunnel's, `body` pieces without end.
  void tunnel() noexcept;

  Http1Head& head() noexcept { return head_; }
  ByteView body() const noexcept { return body_; }
  http::Fields& trailers() noexcept { return trailers_; }
  const Http1Failure& failure() const noexcept { return failure_; }
  /// Between messages: nothing of the next one has come.
  bool idle() const noexcept { return mode_ == Mode::head && !scanner_.begun(); }
  /// A head has begun and is not complete.
  bool in_head() const noexcept { return mode_ == Mode::head && scanner_.begun(); }
  /// Bytes that are missing of a body of known length, or of the chunk at hand.
  std::uint64_t left() const noexcept { return left_; }
  /// Bytes held because they are split.
  std::size_t held() const noexcept { return carry_.size(); }

 private:
  enum class Mode : std::uint8_t {
    head,
    body,
    to_end,
    chunk_header,
    chunk_body,
    done,
    tunnel,
    failed
  };
  class Beast;
  template <bool kRequest>
  class BeastOf;

  Event fail(Http1Failure failure) noexcept;
  /// The next whole unit, from `bytes` or what was kept; false: `event` says what else.
  bool unit(ByteView& bytes, ByteView& whole, Event& event);
  Event read_head(ByteView whole);
  Event read_body(ByteView& bytes);
  Event read_chunk_header(ByteView whole);
  Event end_message() noexcept;

  const Http1Limits& limits_;
  Http1Scanner scanner_;
  std::unique_ptr<Beast> beast_;
  std::string carry_;
  std::string spent_;  // `carry_` of the unit that was handed out last
  Http1Head head_;
  http::Fields trailers_;
  ByteView body_;
  Http1Failure failure_;
  std::uint64_t left_ = 0;  // of the body or the chunk
  Mode mode_ = Mode::head;
  bool requests_;
  bool no_body_ = false;
};

/// `sec-websocket-accept` for a `sec-websocket-key` (RFC 6455 §4.2.2).
std::string websocket_accept(std::string_view key);
/// 16 bytes in base64, as a `sec-websocket-key` has to be.
bool valid_websocket_key(std::string_view key) noexcept;
std::string websocket_key(ByteView sixteen);

}  // namespace tern::fallback
