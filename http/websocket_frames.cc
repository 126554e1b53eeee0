#include "http/websocket_frames.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include <wslay/wslay.h>

#include "base/check.h"

namespace tern::http {

/// wslay's state for one direction of one connection, with what its callbacks need.
struct WebSocketFrameReader::Codec {
  Codec() {
    wslay_frame_callbacks callbacks = {};
    callbacks.recv_callback = receive;
    callbacks.send_callback = send;
    callbacks.genmask_callback = make_mask;
    TERN_CHECK(wslay_frame_context_init(&context, &callbacks, this) == 0);
  }
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;
  ~Codec() { wslay_frame_context_free(context); }

  static ssize_t receive(std::uint8_t* out, std::size_t size, int, void* user) noexcept {
    auto& codec = *static_cast<Codec*>(user);
    const std::size_t count = std::min(size, codec.input.size());
    if (count == 0) return -1;  // wants more
    std::memcpy(out, codec.input.data(), count);
    codec.input = codec.input.subspan(count);
    return static_cast<ssize_t>(count);
  }
  static ssize_t send(const std::uint8_t* data, std::size_t size, int, void* user) noexcept {
    auto& codec = *static_cast<Codec*>(user);
    std::memcpy(codec.output, data, size);
    codec.output += size;
    return static_cast<ssize_t>(size);
  }
  static int make_mask(std::uint8_t* out, std::size_t size, void* user) noexcept {
    static_cast<Codec*>(user)->random->fill(MutableBytes(out, size));
    return 0;
  }

  wslay_frame_context_ptr context = nullptr;
  ByteView input;
  std::uint8_t* output = nullptr;
  Random* random = nullptr;
};

/// The thread's codecs that nobody needs now: a connection between two frames has none.
class WebSocketCodecs {
 public:
  using Codec = WebSocketFrameReader::Codec;

  static std::unique_ptr<Codec> take() {
    std::vector<std::unique_ptr<Codec>>& spare = pool();
    if (spare.empty()) return std::make_unique<Codec>();
    std::unique_ptr<Codec> codec = std::move(spare.back());
    spare.pop_back();
    return codec;
  }
  /// For one that is between two frames.
  static void give_back(std::unique_ptr<Codec> codec) {
    codec->input = {};
    if (pool().size() < kMaxSpare) pool().push_back(std::move(codec));
  }
  /// One that only writes, whole and masked frames, so that it never has a state to keep.
  static Codec& writer() {
    thread_local Codec masking;
    return masking;
  }

 private:
  static constexpr std::size_t kMaxSpare = 32;
  static std::vector<std::unique_ptr<Codec>>& pool() {
    thread_local std::vector<std::unique_ptr<Codec>> spare;
    return spare;
  }
};

namespace {

std::size_t head_size(std::uint64_t length, bool masked) noexcept {
  const std::size_t extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  return 2 + extended + (masked ? 4 : 0);
}

void unmask(const std::uint8_t* key, ByteView payload, std::uint8_t* out) noexcept {
  std::array<std::uint8_t, 8> twice;
  std::memcpy(twice.data(), key, 4);
  std::memcpy(twice.data() + 4, key, 4);
  std::uint64_t mask = 0;
  std::memcpy(&mask, twice.data(), sizeof(mask));
  std::size_t i = 0;
  for (; i + sizeof(mask) <= payload.size(); i += sizeof(mask)) {
    std::uint64_t word = 0;
    std::memcpy(&word, payload.data() + i, sizeof(word));
    word ^= mask;
    std::memcpy(out + i, &word, sizeof(word));
  }
  for (; i < payload.size(); ++i) out[i] = payload[i] ^ key[i & 3U];
}

/// The head of a frame that is not masked (RFC 6455 §5.2). Returns its size.
std::size_t write_head(std::uint8_t* out, WebSocketOpcode opcode, bool fin, bool rsv1,
                       std::uint64_t length) noexcept {
  out[0] = static_cast<std::uint8_t>((fin ? 0x80U : 0U) | (rsv1 ? 0x40U : 0U) |
                                     static_cast<unsigned>(opcode));
  const std::size_t size = head_size(length, false);
  out[1] = static_cast<std::uint8_t>(size == 2 ? length : size == 4 ? 126 : 127);
  for (std::size_t i = size; i > 2; --i) {
    out[i - 1] = static_cast<std::uint8_t>(length);
    length >>= 8;
  }
  return size;
}

/// Writes head and masked payload to `out`.
void write_masked(std::uint8_t* out, wslay_frame_iocb frame, Random* mask) {
  auto& codec = WebSocketCodecs::writer();
  codec.output = out;
  codec.random = mask;
  const ssize_t sent = wslay_frame_send(codec.context, &frame);
  TERN_CHECK(sent == static_cast<ssize_t>(frame.data_length));
}

wslay_frame_iocb masked_frame(WebSocketOpcode opcode, bool fin, bool rsv1, ByteView payload) {
  wslay_frame_iocb frame = {};
  frame.fin = fin ? 1 : 0;
  frame.rsv = rsv1 ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;
  frame.opcode = static_cast<std::uint8_t>(opcode);
  frame.payload_length = payload.size();
  frame.mask = 1;
  frame.data = payload.data();
  frame.data_length = payload.size();
  return frame;
}

}  // namespace

WebSocketFrameReader::WebSocketFrameReader() noexcept = default;
WebSocketFrameReader::~WebSocketFrameReader() = default;

/// A whole frame of at most 125 bytes at the front of the input: most messages, for which wslay's
/// copy into its own buffer would cost more than all the rest. What is wrong with one is wslay's to
/// say.
bool WebSocketFrameReader::take_small(Piece& piece) {
  if (input_.size() < 2) return false;
  const std::size_t length = input_[1] & 0x7FU;
  const bool masked = (input_[1] & 0x80U) != 0;
  const std::size_t head = head_size(length, masked);
  piece.opcode = static_cast<WebSocketOpcode>(input_[0] & 0x0FU);
  piece.fin = (input_[0] & 0x80U) != 0;
  if (length > kSmall || input_.size() < head + length) return false;
  if (is_control(piece.opcode) && !piece.fin) return false;
  piece.rsv = static_cast<std::uint8_t>((input_[0] >> 4) & 7U);
  piece.masked = masked;
  piece.length = length;
  piece.first = piece.last = true;
  const ByteView payload = input_.subspan(head, length);
  if (masked) {
    unmask(input_.data() + 2, payload, small_.data());
    piece.payload = ByteView(small_.data(), length);
  } else {
    piece.payload = payload;
  }
  input_ = input_.subspan(head + length);
  return true;
}

Result<std::optional<WebSocketFrameReader::Piece>> WebSocketFrameReader::next() {
  if (codec_ == nullptr) {
    if (input_.empty()) return std::nullopt;
    Piece piece;
    if (take_small(piece)) return piece;
    codec_ = WebSocketCodecs::take();
    taken_ = used_ = offset_ = 0;
  }
  codec_->input = input_;
  wslay_frame_iocb frame = {};
  const ssize_t size = wslay_frame_recv(codec_->context, &frame);
  taken_ += input_.size() - codec_->input.size();
  input_ = codec_->input;
  if (size == WSLAY_ERR_WANT_READ) {
    TERN_CHECK(input_.empty());
    if (taken_ == used_ && offset_ == 0) WebSocketCodecs::give_back(std::move(codec_));
    return std::nullopt;
  }
  if (size < 0) {
    return fail(Error(Code::invalid,
                      "a malformed frame: a length not in its shortest form or above 2^63, or a "
                      "control frame that is fragmented or longer than 125 bytes",
                      Origin::remote));
  }
  Piece piece;
  piece.opcode = static_cast<WebSocketOpcode>(frame.opcode);
  piece.fin = frame.fin != 0;
  piece.rsv = frame.rsv;
  piece.masked = frame.mask != 0;
  piece.length = frame.payload_length;
  piece.first = offset_ == 0;
  piece.payload = ByteView(frame.data, frame.data_length);
  offset_ += frame.data_length;
  piece.last = offset_ == piece.length;
  if (piece.last) {
    used_ += head_size(piece.length, piece.masked) + piece.length;
    offset_ = 0;
  }
  return piece;
}

WebSocketFrame make_websocket_frame(WebSocketOpcode opcode, bool fin, bool rsv1,
                                    const Bytes& payload, Random* mask) {
  WebSocketFrame out;
  if (mask != nullptr || payload.size() < kWebSocketCopyLimit) {
    out.head = make_websocket_frame(opcode, fin, rsv1, payload.view(), mask);
    return out;
  }
  out.head = Bytes::make(head_size(payload.size(), false), [&](MutableBytes head) {
    return write_head(head.data(), opcode, fin, rsv1, payload.size());
  });
  out.payload = payload;
  return out;
}

Bytes make_websocket_frame(WebSocketOpcode opcode, bool fin, bool rsv1, ByteView payload,
                           Random* mask) {
  const std::size_t size = head_size(payload.size(), mask != nullptr) + payload.size();
  return Bytes::make(size, [&](MutableBytes out) {
    if (mask != nullptr) {
      write_masked(out.data(), masked_frame(opcode, fin, rsv1, payload), mask);
    } else {
      const std::size_t head = write_head(out.data(), opcode, fin, rsv1, payload.size());
      if (!payload.empty()) std::memcpy(out.data() + head, payload.data(), payload.size());
    }
    return size;
  });
}

}  // namespace tern::http
