#include "tools/handoff/tcp_wire.h"

#include <algorithm>
#include <cstring>

namespace tern::handoff {
namespace {

/// Both ends are of one program: the machine's byte order does.
template <typename Number>
void put(std::uint8_t*& at, Number number) {
  std::memcpy(at, &number, sizeof number);
  at += sizeof number;
}

template <typename Number>
void take(const std::uint8_t*& at, Number& number) {
  std::memcpy(&number, at, sizeof number);
  at += sizeof number;
}

}  // namespace

std::size_t wire_padding(WireType type, bool resumed) noexcept {
  constexpr std::size_t kClientHello = 517;
  constexpr std::size_t kServerHello = 2800;
  constexpr std::size_t kResumedServerHello = 230;
  constexpr std::size_t kFinished = 52;
  constexpr std::size_t kFields = 60;
  switch (type) {
    case WireType::client_hello: return kClientHello - kWireHeader;
    case WireType::server_hello:
      return (resumed ? kResumedServerHello : kServerHello) - kWireHeader;
    case WireType::finished: return kFinished;
    case WireType::request:
    case WireType::response: return kFields;
    case WireType::data:
    case WireType::goaway: return 0;
  }
  return 0;
}

Bytes wire_header(const WireFrame& frame, std::size_t payload) {
  const std::size_t padding = frame.type == WireType::data ? 0 : payload;
  return Bytes::make(kWireHeader + padding, [&](MutableBytes out) {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    std::uint8_t* at = out.data();
    put(at, static_cast<std::uint8_t>(frame.type));
    put(at, static_cast<std::uint8_t>(frame.last));
    put(at, frame.stream);
    put(at, static_cast<std::uint32_t>(payload));
    put(at, frame.number);
    put(at, frame.transfer);
    put(at, frame.attempt);
    put(at, frame.what);
    return out.size();
  });
}

void WireReader::read(ByteView bytes) {
  while (!bytes.empty()) {
    if (rest_ == 0) {
      const std::size_t wanted = std::min(kWireHeader - header_.size(), bytes.size());
      header_.insert(header_.end(), bytes.begin(),
                     bytes.begin() + static_cast<std::ptrdiff_t>(wanted));
      bytes = bytes.subspan(wanted);
      if (header_.size() < kWireHeader) return;
      const std::uint8_t* at = header_.data();
      std::uint8_t type = 0;
      std::uint8_t last = 0;
      std::uint32_t payload = 0;
      take(at, type);
      take(at, last);
      take(at, frame_.stream);
      take(at, payload);
      take(at, frame_.number);
      take(at, frame_.transfer);
      take(at, frame_.attempt);
      take(at, frame_.what);
      frame_.type = static_cast<WireType>(type);
      frame_.last = last != 0;
      rest_ = payload;
      header_.clear();
      // A message that is not all there is no message: only data comes in pieces.
      if (rest_ == 0 || frame_.type == WireType::data) on_frame_(frame_, rest_);
      continue;
    }
    const std::size_t length = std::min(rest_, bytes.size());
    rest_ -= length;
    if (frame_.type == WireType::data) {
      on_data_(frame_, bytes.first(length), rest_ == 0);
    } else if (rest_ == 0) {
      on_frame_(frame_, 0);
    }
    bytes = bytes.subspan(length);
  }
}

}  // namespace tern::handoff
