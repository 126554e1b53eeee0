#include "http/websocket_protocol.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tern::http {

namespace {

constexpr std::uint8_t kRsv1 = 4;
constexpr std::size_t kMaxControl = 125;
constexpr std::size_t kMaxReason = kMaxControl - 2;

bool is_known(WebSocketOpcode opcode) noexcept {
  const auto number = static_cast<unsigned>(opcode);
  return number <= 2 || (number >= 8 && number <= 10);
}

}  // namespace

bool valid_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

WebSocketProtocol::WebSocketProtocol(Role role, Limits limits, Random& random,
                                     std::optional<WebSocketDeflateAgreement> deflate,
                                     const WebSocketDeflateOptions& deflate_options)
    : role_(role), limits_(limits), random_(&random), threshold_(deflate_options.threshold()) {
  if (!deflate) return;
  inflater_.emplace(deflate->receive_window_bits, deflate->receive_takeover);
  // With a window of 256 bytes, which zlib cannot make, what we send stays uncompressed.
  if (deflate->send_window_bits >= 9) {
    deflater_.emplace(deflate->send_window_bits, deflate_options.level(), deflate->send_takeover);
  }
}

void WebSocketProtocol::feed(ByteView bytes) noexcept {
  if (!over_) reader_.feed(bytes);
}

WebSocketProtocol::Event WebSocketProtocol::failure(std::uint16_t code, std::string reason) {
  over_ = true;
  Event event;
  event.type = Event::Type::failure;
  event.code = code;
  event.reason = std::move(reason);
  return event;
}

std::optional<WebSocketProtocol::Event> WebSocketProtocol::next() {
  while (!over_) {
    if (inflating_) {
      if (std::optional<Event> event = inflated()) return event;
    }
    const Result<std::optional<Piece>> piece = reader_.next();
    if (!piece) return failure(websocket_code::kProtocolError, piece.error().detail);
    if (!*piece) return std::nullopt;
    if ((*piece)->first) {
      if (std::optional<Event> event = check_head(**piece)) return event;
    }
    std::optional<Event> event =
        is_control((*piece)->opcode) ? take_control(**piece) : take_data(**piece);
    if (event) return event;
  }
  return std::nullopt;
}

/// What a frame's head must not say, given what came before it.
std::optional<WebSocketProtocol::Event> WebSocketProtocol::check_head(const Piece& piece) {
  const auto wrong = [this](std::string what) {
    return failure(websocket_code::kProtocolError, std::move(what));
  };
  if (!is_known(piece.opcode)) {
    return wrong("opcode " + std::to_string(static_cast<unsigned>(piece.opcode)) + " is reserved");
  }
  if (piece.masked != (role_ == Role::server)) {
    return wrong(piece.masked ? "a server's frame is masked" : "a client's frame is not masked");
  }
  const bool control = is_control(piece.opcode);
  const bool begins = !control && piece.opcode != WebSocketOpcode::continuation;
  if ((piece.rsv & ~kRsv1) != 0 || (piece.rsv != 0 && (!inflater_ || !begins))) {
    return wrong("a reserved bit is set");
  }
  if (control) {
    control_size_ = 0;
    return std::nullopt;
  }
  if (begins && in_message_) return wrong("a message begins within another one");
  if (!begins && !in_message_) return wrong("a continuation of no message");
  if (begins) {
    in_message_ = true;
    text_ = piece.opcode == WebSocketOpcode::text;
    compressed_ = piece.rsv != 0;
    wire_size_ = size_ = 0;
    empty_fragments_ = 0;
    utf8_.reset();
  }
  if (piece.length == 0 && !piece.fin && ++empty_fragments_ > kMaxEmptyFragments) {
    return failure(websocket_code::kPolicy, "too many empty fragments");
  }
  wire_size_ += piece.length;  // below 2^63 each; what is too much ends here
  if (limits_.max_message != 0 && wire_size_ > limits_.max_message) {
    return failure(websocket_code::kTooBig,
                   "a message of more than " + std::to_string(limits_.max_message) + " bytes");
  }
  return std::nullopt;
}

std::optional<WebSocketProtocol::Event> WebSocketProtocol::take_data(const Piece& piece) {
  const bool ends = piece.fin && piece.last;
  if (compressed_) {
    inflater_->feed(piece.payload, ends);
    inflating_ = true;
    message_ends_ = ends;
    return inflated();
  }
  if (piece.payload.empty() && !ends) return std::nullopt;
  return deliver(piece.payload, ends);
}

std::optional<WebSocketProtocol::Event> WebSocketProtocol::inflated() {
  const Result<std::optional<ByteView>> piece = inflater_->next();
  if (!piece) return failure(websocket_code::kInvalidData, piece.error().detail);
  if (*piece) {
    if ((**piece).size() + size_ > limits_.ratio_grace &&
        (**piece).size() + size_ > wire_size_ * limits_.max_ratio) {
      return failure(websocket_code::kTooBig, "a message inflates to more than " +
                                                  std::to_string(limits_.max_ratio) +
                                                  " times its size");
    }
    return deliver(**piece, false);
  }
  inflating_ = false;
  if (!message_ends_) return std::nullopt;
  return deliver({}, true);
}

WebSocketProtocol::Event WebSocketProtocol::deliver(ByteView payload, bool last) {
  size_ += payload.size();
  if (limits_.max_message != 0 && size_ > limits_.max_message) {
    return failure(websocket_code::kTooBig,
                   "a message of more than " + std::to_string(limits_.max_message) + " bytes");
  }
  if (text_ && (!utf8_.feed(payload) || (last && !utf8_.complete()))) {
    return failure(websocket_code::kInvalidData, "a text message that is no UTF-8");
  }
  if (last) in_message_ = false;
  Event event;
  event.type = Event::Type::part;
  event.text = text_;
  event.last = last;
  event.payload = payload;
  return event;
}

std::optional<WebSocketProtocol::Event> WebSocketProtocol::take_control(const Piece& piece) {
  TERN_CHECK(control_size_ + piece.payload.size() <= kMaxControl);  // wslay has seen to it
  std::copy(piece.payload.begin(), piece.payload.end(), control_.begin() + control_size_);
  control_size_ = static_cast<std::uint8_t>(control_size_ + piece.payload.size());
  if (!piece.last) return std::nullopt;
  if (piece.opcode == WebSocketOpcode::close) return take_close();
  Event event;
  event.type = piece.opcode == WebSocketOpcode::ping ? Event::Type::ping : Event::Type::pong;
  event.payload = ByteView(control_).first(control_size_);
  return event;
}

WebSocketProtocol::Event WebSocketProtocol::take_close() {
  Event event;
  event.type = Event::Type::close;
  event.code = websocket_code::kNone;
  if (control_size_ > 0) {
    if (control_size_ == 1) {
      return failure(websocket_code::kProtocolError, "a close frame with half a code");
    }
    event.code = static_cast<std::uint16_t>(control_[0] << 8 | control_[1]);
    if (!valid_close_code(event.code)) {
      return failure(websocket_code::kProtocolError,
                     "close code " + std::to_string(event.code) + " is not for the wire");
    }
    const ByteView reason = ByteView(control_).subspan(2, control_size_ - 2U);
    if (!is_utf8(reason)) {
      return failure(websocket_code::kInvalidData, "a close reason that is no UTF-8");
    }
    event.reason = as_text(reason);
  }
  over_ = true;
  return event;
}

// ---- out ----------------------------------------------------------------------------------------

WebSocketFrame WebSocketProtocol::message(bool text, const Bytes& payload, bool first, bool last) {
  const WebSocketOpcode opcode = !first ? WebSocketOpcode::continuation
                                 : text ? WebSocketOpcode::text
                                        : WebSocketOpcode::binary;
  Random* const mask = role_ == Role::client ? random_ : nullptr;
  if (first) part_compressed_ = deflater_ && (!last || payload.size() >= threshold_);
  if (!part_compressed_) return make_websocket_frame(opcode, last, false, payload, mask);
  std::string compressed;
  deflater_->deflate(payload, last, compressed);
  return make_websocket_frame(opcode, last, first, Bytes::take(std::move(compressed)), mask);
}

Bytes WebSocketProtocol::control(WebSocketOpcode opcode, ByteView payload) {
  TERN_CHECK(payload.size() <= kMaxControl);
  return make_websocket_frame(opcode, true, false, payload,
                              role_ == Role::client ? random_ : nullptr);
}

Bytes WebSocketProtocol::close(std::uint16_t code, std::string_view reason) {
  if (code == websocket_code::kNone) return control(WebSocketOpcode::close, {});
  std::array<std::uint8_t, kMaxControl> payload;
  payload[0] = static_cast<std::uint8_t>(code >> 8);
  payload[1] = static_cast<std::uint8_t>(code);
  if (reason.size() > kMaxReason) {
    std::size_t end = kMaxReason;
    while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0U) == 0x80) --end;
    reason = reason.substr(0, end);
  }
  std::copy(reason.begin(), reason.end(), payload.begin() + 2);
  return control(WebSocketOpcode::close, ByteView(payload).first(2 + reason.size()));
}

}  // namespace tern::http
