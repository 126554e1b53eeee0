#include "webtransport/capsule_reader.h"

#include <algorithm>

#include "base/check.h"
#include "webtransport/capsule_type.h"

namespace tern::webtransport {

namespace {

bool carries_stream_data(std::uint64_t type) noexcept {
  return type == capsule_type::kStream || type == capsule_type::kStreamWithFin;
}

}  // namespace

void CapsuleReader::feed(ByteView bytes) {
  TERN_CHECK(input_.empty());
  if (state_ != State::broken) input_ = bytes;
}

std::optional<CapsuleReader::Event> CapsuleReader::next() {
  for (;;) {
    switch (state_) {
      case State::type:
        if (!varint_.take(input_)) return std::nullopt;
        type_ = varint_.value();
        state_ = State::length;
        break;
      case State::length: {
        if (!varint_.take(input_)) return std::nullopt;
        left_ = varint_.value();
        if (carries_stream_data(type_)) {
          state_ = State::stream_id;
        } else if (left_ > max_payload_) {
          state_ = State::skip;
          Event event;
          event.type = Event::Type::too_long;
          event.id = type_;
          return event;
        } else {
          kept_.clear();
          state_ = State::payload;
        }
        break;
      }
      case State::stream_id: {
        const std::optional<Event> event = read_stream_id();
        if (event || state_ == State::stream_id) return event;
        break;
      }
      case State::stream_data:
        if (input_.empty() && !(first_ && left_ == 0)) return std::nullopt;
        return stream_data();
      case State::payload: return read_payload();
      case State::skip: {
        const std::size_t count =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
        left_ -= count;
        input_ = input_.subspan(count);
        if (left_ > 0) return std::nullopt;
        state_ = State::type;
        break;
      }
      case State::broken: return std::nullopt;
    }
  }
}

std::optional<CapsuleReader::Event> CapsuleReader::read_stream_id() {
  const std::size_t within =
      static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
  ByteView bytes = input_.first(within);
  const bool whole = varint_.take(bytes);
  const std::size_t taken = within - bytes.size();
  input_ = input_.subspan(taken);
  left_ -= taken;
  if (whole) {
    stream_ = varint_.value();
    first_ = true;
    state_ = State::stream_data;
  } else if (left_ == 0) {
    state_ = State::broken;
    input_ = ByteView();
    return Event();
  }
  return std::nullopt;
}

CapsuleReader::Event CapsuleReader::stream_data() {
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
  Event event;
  event.type = Event::Type::stream_data;
  event.id = stream_;
  event.bytes = input_.first(count);
  input_ = input_.subspan(count);
  left_ -= count;
  first_ = false;
  if (left_ == 0) {
    event.fin = type_ == capsule_type::kStreamWithFin;
    state_ = State::type;
  }
  return event;
}

std::optional<CapsuleReader::Event> CapsuleReader::read_payload() {
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
  const ByteView piece = input_.first(count);
  input_ = input_.subspan(count);
  left_ -= count;
  const bool kept = !kept_.empty();
  if (kept || left_ > 0) kept_.insert(kept_.end(), piece.begin(), piece.end());
  if (left_ > 0) return std::nullopt;
  state_ = State::type;
  Event event;
  event.type = Event::Type::capsule;
  event.id = type_;
  event.bytes = kept ? ByteView(kept_) : piece;
  return event;
}

}  // namespace tern::webtransport
