#include "tools/handoff/qlog_follower.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "tools/handoff/stage.h"
#include "tools/handoff/transfer.h"

namespace tern::handoff {
namespace {

constexpr std::size_t kMaxName = 80;  // where in a record its name stands at the latest
/// Framing of a body: HEADERS before it, and a few bytes for each DATA frame.
constexpr std::uint64_t kHeadersFrame = 400;
constexpr std::uint64_t kDataFrames = 64;
constexpr std::uint64_t kBytesToAFrameByte = 256;

/// The number after `key` in `text`, beginning at `from`; `from` moves behind it.
bool number_after(std::string_view text, std::string_view key, std::size_t& from,
                  std::uint64_t& value) {
  const std::size_t found = text.find(key, from);
  if (found == std::string_view::npos) return false;
  const char* begin = text.data() + found + key.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  from = static_cast<std::size_t>(end - text.data());
  return error == std::errc();
}

struct StreamFrame {
  std::uint64_t stream = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// Calls `take` with each STREAM frame of a packet.
template <typename Take>
void each_stream_frame(std::string_view record, Take&& take) {
  constexpr std::string_view kFrame = R"("frame_type":"stream")";
  std::size_t at = 0;
  while ((at = record.find(kFrame, at)) != std::string_view::npos) {
    StreamFrame frame;
    at += kFrame.size();
    if (!number_after(record, R"("stream_id":)", at, frame.stream) ||
        !number_after(record, R"("offset":)", at, frame.offset) ||
        !number_after(record, R"("length":)", at, frame.length)) {
      return;
    }
    take(frame);
  }
}

}  // namespace

QlogFollower::QlogFollower(Stage& stage, bool server, std::unique_ptr<quic::QlogSink> next)
    : stage_(stage), server_(server), next_(std::move(next)) {}

QlogFollower::~QlogFollower() { look_at_dirty(); }

void QlogFollower::write(std::string_view record) {
  if (next_ != nullptr) next_->write(record);
  constexpr std::string_view kName = R"("name":")";
  const std::string_view head = record.substr(0, kMaxName);
  const std::size_t found = head.find(kName);
  if (found == std::string_view::npos) return;
  const std::string_view name = record.substr(found + kName.size());
  if (name.starts_with("transport:packet_sent\"")) {
    sent(record);
  } else if (name.starts_with("transport:packet_received\"")) {
    received(record);
  } else if (name.starts_with("recovery:metrics_updated\"")) {
    metrics(record);
  } else if (name.starts_with("http3:frame_created\"")) {
    headers(record, false);
  } else if (name.starts_with("http3:frame_parsed\"")) {
    headers(record, true);
  }
}

void QlogFollower::sent(std::string_view record) {
  each_stream_frame(record, [&](const StreamFrame& frame) {
    Sent& stream = sent_[frame.stream];
    const bool of_transfer = stream.highest_of_all != nullptr;
    std::uint64_t& highest = of_transfer ? *stream.highest_of_all : stream.highest;
    const std::uint64_t begin = stream.base + frame.offset;
    const std::uint64_t end = begin + frame.length;
    if (begin < highest) stage_.note_retransmitted(std::min(end, highest) - begin);
    highest = std::max(highest, end);
  });
}

void QlogFollower::received(std::string_view record) {
  const Duration now = stage_.world().elapsed();
  if (now != dirty_at_) look_at_dirty();
  dirty_at_ = now;
  each_stream_frame(record, [&](const StreamFrame& frame) {
    if (frame.stream % 4 != 0) return;  // requests are bidirectional and the client's
    Received& stream = received_[frame.stream];
    const std::uint64_t end = frame.offset + frame.length;
    if (end <= stream.contiguous) return;
    if (frame.offset > stream.contiguous) {
      std::uint64_t& island = stream.islands[frame.offset];
      island = std::max(island, end);
      return;
    }
    stream.contiguous = end;
    auto next = stream.islands.begin();
    while (next != stream.islands.end() && next->first <= stream.contiguous) {
      stream.contiguous = std::max(stream.contiguous, next->second);
      next = stream.islands.erase(next);
    }
    if (std::find(dirty_.begin(), dirty_.end(), frame.stream) == dirty_.end()) {
      dirty_.push_back(frame.stream);
    }
  });
}

void QlogFollower::look_at_dirty() {
  for (const std::uint64_t id : dirty_) {
    Received& stream = received_[id];
    Transfer* transfer = stream.transfer;
    // A newer attempt has taken over, or it is the body of another direction.
    if (transfer == nullptr || transfer->attempts != stream.attempt || transfer->done) continue;
    const std::uint64_t delivered = transfer->delivered() - stream.base;
    const std::uint64_t missing = stream.contiguous - std::min(stream.contiguous, delivered);
    const std::uint64_t fresh = stream.contiguous - stream.checked;
    const std::uint64_t framing = (stream.checked == 0 ? kHeadersFrame : kDataFrames) +
                                  fresh / kBytesToAFrameByte + stream.overhead;
    if (stream.held_since) transfer->held_up(*stream.held_since, transfer->last_piece());
    stream.held_since.reset();
    if (missing > framing) {
      stream.held_since = dirty_at_;
      stage_.violate(fmt::format(
          "{} {}: at {:.6f} s its stream's own packets had brought {} bytes, but {} were delivered",
          name(transfer->kind()), transfer->id(), std::chrono::duration<double>(dirty_at_).count(),
          stream.contiguous, delivered));
    }
    stream.overhead = missing;
    stream.checked = stream.contiguous;
  }
  dirty_.clear();
}

void QlogFollower::headers(std::string_view record, bool parsed) {
  // A client creates requests, a server parses them. Who sends the body depends on the request.
  if (parsed != server_) return;
  std::size_t at = 0;
  std::uint64_t id = 0;
  if (!number_after(record, R"("stream_id":)", at, id)) return;
  constexpr std::string_view kPath = R"("name":":path","value":"/)";
  const std::size_t found = record.find(kPath, at);
  if (found == std::string_view::npos) return;
  at = found + kPath.size();
  const bool down = record.substr(at).starts_with("down/");
  const bool up = record.substr(at).starts_with("up/");
  if (!up && !down) return;
  std::uint64_t transfer = 0;
  std::uint64_t attempt = 0;
  std::uint64_t offset = 0;
  if (!number_after(record, "/", at, transfer) || !number_after(record, "/", at, attempt) ||
      !number_after(record, "/", at, offset)) {
    return;
  }
  if (stage_.transfer(transfer) == nullptr) return;
  if (server_ == down) {
    sent_[id].highest_of_all = &stage_.highest_sent(transfer);
    sent_[id].base = offset;
    return;
  }
  Received& stream = received_[id];
  stream.transfer = stage_.transfer(transfer);
  stream.attempt = static_cast<unsigned>(attempt);
  stream.base = offset;
}

void QlogFollower::metrics(std::string_view record) {
  if (stage_.metrics_observer() == nullptr) return;
  std::size_t at = 0;
  std::uint64_t rtt = 0;
  std::uint64_t window = 0;
  if (!number_after(record, R"("smoothed_rtt":)", at, rtt) ||
      !number_after(record, R"("congestion_window":)", at, window)) {
    return;
  }
  stage_.metrics_observer()->metrics(stage_.world().elapsed(), server_,
                                     std::chrono::milliseconds(rtt), window);
}

}  // namespace tern::handoff
