#include "webtransport/http3_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/varint.h"
#include "webtransport/http3_carrier.h"
#include "webtransport/http3_flow.h"
#include "webtransport/http3_sessions.h"

namespace tern::webtransport {

namespace {

// How a stream says that it belongs to a session (draft-ietf-webtrans-http3-16 §4.2, §4.3).
constexpr std::uint64_t kUnidirectionalType = 0x54;
constexpr std::uint64_t kBidirectionalSignal = 0x41;

}  // namespace

Http3Stream::Http3Stream(Http3Sessions& sessions, quic::Connection& connection, quic::StreamId id,
                         Http3Carrier& carrier) noexcept
    : sessions_(sessions),
      connection_(connection),
      id_(id),
      session_(carrier.id()),
      carrier_(&carrier),
      send_over_(quic::is_unidirectional(id) && !is_ours()),
      receive_over_(quic::is_unidirectional(id) && is_ours()) {}

Http3Stream::~Http3Stream() {
  if (flow() == nullptr || is_ours()) return;
  flow()->ended(direction());
  carrier_->flow_changed();
}

Http3Flow* Http3Stream::flow() const noexcept {
  return carrier_ == nullptr ? nullptr : carrier_->flow();
}

bool Http3Stream::is_ours() const noexcept {
  return quic::is_server_initiated(id_) == connection_.is_server();
}

// ---- sending ------------------------------------------------------------------------------------

void Http3Stream::send(Bytes bytes, bool end) {
  send_over_ = end;
  Http3Flow* const session = flow();
  if (session == nullptr) return hand_over(std::move(bytes), end);
  if (held_.empty() && bytes.size() <= session->credit()) {
    session->spend(bytes.size());
    return hand_over(std::move(bytes), end);
  }
  held_size_ += bytes.size();
  held_end_ = end;
  if (!bytes.empty()) held_.push(std::move(bytes));
  if (!waits_for_credit_) pump();
}

void Http3Stream::pump() {
  waits_for_credit_ = false;
  Http3Flow* const session = flow();
  if (session == nullptr) return;
  while (!held_.empty()) {
    Bytes& front = held_.front();
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(front.size(), session->credit()));
    if (count == 0) {
      waits_for_credit_ = true;
      return carrier_->wait_for_credit(id_);
    }
    Bytes piece = front.slice(0, count);
    if (count == front.size()) {
      held_.pop();
    } else {
      front.remove_prefix(count);
    }
    held_size_ -= count;
    session->spend(count);
    hand_over(std::move(piece), held_end_ && held_.empty());
  }
}

void Http3Stream::hand_over(Bytes bytes, bool end) {
  if (is_ours() && header_size_ == 0) {
    std::array<std::uint8_t, 2 * kMaxVarintSize> header;
    const std::uint64_t signal =
        quic::is_unidirectional(id_) ? kUnidirectionalType : kBidirectionalSignal;
    const std::uint8_t* const last =
        write_varint(write_varint(header.data(), signal), static_cast<std::uint64_t>(session_));
    header_size_ = static_cast<std::size_t>(last - header.data());
    connection_.write(id_, Bytes::copy(ByteView(header.data(), header_size_)), false);
  }
  handed_over_ += bytes.size();
  connection_.write(id_, std::move(bytes), end);
}

std::size_t Http3Stream::unsent() const noexcept {
  return closed_ ? 0 : held_size_ + connection_.unsent(id_);
}

void Http3Stream::reset(ApplicationCode code) { give_up(to_http3(code)); }

void Http3Stream::give_up(std::uint64_t code) {
  if (closed_ || reset_due_ || (send_over_ && unsent() == 0)) return;
  send_over_ = true;
  held_.clear();
  held_size_ = 0;
  if (may_reset()) {
    connection_.reset(id_, code);
  } else {
    reset_due_ = code;
  }
}

// ---- receiving ----------------------------------------------------------------------------------

void Http3Stream::consumed(std::size_t count) {
  if (Http3Flow* const session = flow()) {
    session->consumed(count);
    carrier_->flow_changed();
  }
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
      if (flow() != nullptr && !flow()->received(event.data.size())) {
        consumed(event.data.size());
        carrier_->fail_flow("more data than allowed");
        break;
      }
      if (!event.data.empty()) {
        const bool kept = stream_ != nullptr && stream_->incoming().push(event.data);
        if (!kept) consumed(event.data.size());
      }
      if (event.fin && stream_ != nullptr) stream_->incoming().finish();
      break;
    case Type::stream_reset: on_reset(event); break;
    case Type::stream_acked:
      acked_ += event.value;
      if (reset_due_ && may_reset()) connection_.reset(id_, *std::exchange(reset_due_, {}));
      if (stream_ != nullptr) stream_->drained();
      break;
    case Type::stream_closed: on_closed(event); break;
    default: break;
  }
  return !over();
}

void Http3Stream::on_reset(const quic::Event& event) {
  receive_over_ = true;
  const std::size_t unread = stream_ == nullptr ? 0 : stream_->incoming().buffered();
  if (Http3Flow* const session = flow()) {
    // All that the peer has sent counts (§5.4), what was lost on the way, too. Its header, in the
    // shortest form, does not.
    const std::uint64_t type =
        quic::is_unidirectional(id_) ? kUnidirectionalType : kBidirectionalSignal;
    const std::uint64_t header =
        is_ours() ? 0 : varint_size(type) + varint_size(static_cast<std::uint64_t>(session_));
    const std::uint64_t before = header + received_;
    const std::uint64_t lost = event.size > before ? event.size - before : 0;
    if (!session->received(lost)) {
      carrier_->fail_flow("more data than allowed");
    } else {
      session->consumed(lost + unread);
      carrier_->flow_changed();
    }
  }
  if (stream_ == nullptr) return;
  connection_.credit(unread);
  stream_->on_reset(from_http3(event.value));
}

void Http3Stream::on_closed(const quic::Event& event) {
  closed_ = true;
  receive_over_ = true;
  held_.clear();
  held_size_ = 0;
  if (Http3Flow* const session = flow(); session != nullptr && event.size > 0) {
    session->refund(std::min(event.size, handed_over_));
    carrier_->release();
  }
  if (stream_ == nullptr) return;
  // A STOP_SENDING of the peer's shows nowhere else.
  if (!send_over_) stream_->on_stop_sending(from_http3(event.value));
  send_over_ = true;
  stream_->drained();
  stream_->incoming().fail(Error(Code::cancelled, "the stream is over", Origin::remote));
}

// ---- the end ------------------------------------------------------------------------------------

void Http3Stream::detach() noexcept {
  const bool finished = send_over_;
  stream_ = nullptr;
  if (!finished) give_up(to_http3(0));
  stop_sending(0);
  if (over()) sessions_.forget(*this);
}

bool Http3Stream::abandon() {
  carrier_ = nullptr;
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
