#include "webtransport/http3_stream.h"

#include <array>
#include <utility>

#include "base/varint.h"
#include "webtransport/http3_sessions.h"

namespace tern::webtransport {

namespace {

// How a stream says that it belongs to a session (draft-ietf-webtrans-http3-16 §4.2, §4.3).
constexpr std::uint64_t kUnidirectionalType = 0x54;
constexpr std::uint64_t kBidirectionalSignal = 0x41;

}  // namespace

Http3Stream::Http3Stream(Http3Sessions& sessions, quic::Connection& connection, quic::StreamId id,
                         quic::StreamId session) noexcept
    : sessions_(sessions),
      connection_(connection),
      id_(id),
      session_(session),
      send_over_(quic::is_unidirectional(id) && !is_ours()),
      receive_over_(quic::is_unidirectional(id) && is_ours()) {}

bool Http3Stream::is_ours() const noexcept {
  return quic::is_server_initiated(id_) == connection_.is_server();
}

// ---- sending
// --------------------------------------------------------------------------------------

void Http3Stream::send(Bytes bytes, bool end) {
  if (is_ours() && header_size_ == 0) {
    std::array<std::uint8_t, 2 * kMaxVarintSize> header;
    const std::uint64_t signal =
        quic::is_unidirectional(id_) ? kUnidirectionalType : kBidirectionalSignal;
    const std::uint8_t* const last =
        write_varint(write_varint(header.data(), signal), static_cast<std::uint64_t>(session_));
    header_size_ = static_cast<std::size_t>(last - header.data());
    connection_.write(id_, Bytes::copy(ByteView(header.data(), header_size_)), false);
  }
  send_over_ = end;
  connection_.write(id_, std::move(bytes), end);
}

std::size_t Http3Stream::unsent() const noexcept { return closed_ ? 0 : connection_.unsent(id_); }

void Http3Stream::reset(ApplicationCode code) { give_up(to_http3(code)); }

void Http3Stream::give_up(std::uint64_t code) {
  if (closed_ || reset_due_ || (send_over_ && unsent() == 0)) return;
  send_over_ = true;
  if (may_reset()) {
    connection_.reset(id_, code);
  } else {
    reset_due_ = code;
  }
}

// ---- receiving
// ------------------------------------------------------------------------------------

void Http3Stream::consumed(std::size_t count) {
  if (receive_over_ || closed_) {
    connection_.credit(count);
  } else {
    connection_.consumed(id_, count);
  }
}

void Http3Stream::stop_sending(ApplicationCode code) {
  if (!receive_over_ && !closed_) connection_.stop_sending(id_, to_http3(code));
}

bool Http3Stream::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  switch (event.type) {
    case Type::stream_data:
      receive_over_ = receive_over_ || event.fin;
      received_ += event.data.size();
      if (!event.data.empty()) {
        const bool kept = stream_ != nullptr && stream_->incoming().push(event.data);
        if (!kept) consumed(event.data.size());
      }
      if (event.fin && stream_ != nullptr) stream_->incoming().finish();
      break;
    case Type::stream_reset:
      receive_over_ = true;
      if (stream_ != nullptr) {
        connection_.credit(stream_->incoming().buffered());
        stream_->on_reset(from_http3(event.value));
      }
      break;
    case Type::stream_acked:
      acked_ += event.value;
      if (reset_due_ && may_reset()) connection_.reset(id_, *std::exchange(reset_due_, {}));
      if (stream_ != nullptr) stream_->drained();
      break;
    case Type::stream_closed:
      closed_ = true;
      receive_over_ = true;
      if (stream_ == nullptr) break;
      // A STOP_SENDING of the peer's shows nowhere else.
      if (!send_over_) stream_->on_stop_sending(from_http3(event.value));
      send_over_ = true;
      stream_->drained();
      stream_->incoming().fail(Error(Code::cancelled, "the stream is over", Origin::remote));
      break;
    default: break;
  }
  return !over();
}

// ---- the end
// --------------------------------------------------------------------------------------

void Http3Stream::detach() noexcept {
  const bool finished = send_over_;
  stream_ = nullptr;
  if (!finished) give_up(to_http3(0));
  stop_sending(0);
  if (over()) sessions_.forget(*this);
}

bool Http3Stream::abandon() {
  if (stream_ != nullptr) {
    connection_.credit(stream_->incoming().discard());
    stream_ = nullptr;
  }
  if (closed_) return false;
  give_up(http3_code::kSessionGone);
  if (!receive_over_) connection_.stop_sending(id_, http3_code::kSessionGone);
  return true;
}

}  // namespace tern::webtransport
