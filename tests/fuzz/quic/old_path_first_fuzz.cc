// What a peer says while a connection moves: payloads of packets that were opened, with ACK frames
// as it likes them. A step is two bytes, what happens and how much of it; behind one that opens a
// packet comes its payload.
//
// What is left of a payload is as long as before, as well formed, and acknowledges nothing that the
// peer has not acknowledged so far.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <vector>

#include "base/varint.h"
#include "transport/quic/frames.h"
#include "transport/quic/old_path_first.h"

namespace {

using namespace tern;
using namespace tern::quic;

void must(bool holds) {
  if (!holds) std::abort();
}

/// Numbers from low to high, as disjoint ranges.
class Numbers {
 public:
  void add(std::uint64_t low, std::uint64_t high) {
    auto next = all_.upper_bound(low);
    if (next != all_.begin() && std::prev(next)->second + 1 >= low) --next;
    while (next != all_.end() && next->first <= high + 1) {
      low = std::min(low, next->first);
      high = std::max(high, next->second);
      next = all_.erase(next);
    }
    all_[low] = high;
  }
  bool have(std::uint64_t low, std::uint64_t high) const {
    const auto next = all_.upper_bound(low);
    return next != all_.begin() && std::prev(next)->second >= high;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> all_;
};

bool take(ByteView& rest, std::uint64_t& value) {
  const auto varint = read_varint(rest);
  if (!varint) return false;
  value = varint->value;
  rest = rest.subspan(varint->size);
  return true;
}

/// Calls `each(low, high)` for the ranges of an ACK frame; false: it is malformed.
template <typename Each>
bool ranges_of(ByteView frame, Each&& each) {
  ByteView rest = frame.subspan(1);
  std::uint64_t high = 0;
  std::uint64_t delay = 0;
  std::uint64_t count = 0;
  std::uint64_t length = 0;
  if (!take(rest, high) || !take(rest, delay) || !take(rest, count) || !take(rest, length)) {
    return false;
  }
  for (;; --count) {
    if (length > high) return false;
    each(high - length, high);
    if (count == 0) return true;
    const std::uint64_t low = high - length;
    std::uint64_t gap = 0;
    if (!take(rest, gap) || !take(rest, length) || gap + 2 > low) return false;
    high = low - gap - 2;
  }
}

/// Calls `each` for every frame; false: the payload is malformed.
template <typename Each>
bool frames_of(ByteView payload, Each&& each) {
  while (!payload.empty()) {
    ByteView rest = payload;
    if (!skip_frame(rest)) return false;
    each(payload.first(payload.size() - rest.size()));
    payload = rest;
  }
  return true;
}

bool is_ack(ByteView frame) { return frame[0] == kAck || frame[0] == kAckEcn; }

/// True: whole, and every ACK frame too.
bool well_formed(ByteView payload) {
  bool good = true;
  const bool whole = frames_of(payload, [&](ByteView frame) {
    if (is_ack(frame)) good &= ranges_of(frame, [](std::uint64_t, std::uint64_t) {});
  });
  return whole && good;
}

/// A connection that moves, and what its peer has acknowledged.
class Mover {
 public:
  void step(std::uint8_t what, std::uint8_t value) {
    const Duration round_trip = std::chrono::milliseconds(value);
    switch (what % 8) {
      case 0: first_.probing(round_trip, 2 * round_trip, now_); break;
      case 1: first_.may_move(round_trip, 2 * round_trip, now_); break;
      case 2: first_.moved(value % 2 == 0); break;
      case 3: first_.sealing(sealed_ += value % 4, (value & 4) != 0); break;
      case 4: now_ += std::chrono::milliseconds(value); break;
      case 5: sealed_ += std::uint64_t{value} << (value % 8); break;
      case 6: first_.stays(); break;
      default: break;
    }
    first_.at(now_);
  }

  void open(ByteView payload) {
    const bool good = well_formed(payload);
    const bool active = first_.active();
    frames_of(payload, [&](ByteView frame) {
      if (is_ack(frame))
        ranges_of(frame,
                  [&](std::uint64_t low, std::uint64_t high) { acknowledged_.add(low, high); });
    });
    std::vector<std::uint8_t> read(payload.begin(), payload.end());
    first_.opened(read);
    must(read.size() == payload.size());
    if (!active) must(std::equal(read.begin(), read.end(), payload.begin()));
    if (!good) return;
    must(well_formed(read));
    frames_of(read, [&](ByteView frame) {
      if (is_ack(frame))
        ranges_of(frame, [&](std::uint64_t low, std::uint64_t high) {
          must(acknowledged_.have(low, high));
        });
    });
  }

 private:
  OldPathFirst first_;
  Timestamp now_{std::chrono::seconds(5)};
  std::uint64_t sealed_ = 0;
  Numbers acknowledged_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Mover mover;
  ByteView rest(data, size);
  while (rest.size() >= 2) {
    const std::uint8_t what = rest[0];
    const std::uint8_t value = rest[1];
    rest = rest.subspan(2);
    if (what % 8 != 7) {
      mover.step(what, value);
      continue;
    }
    const std::size_t length =
        std::min<std::size_t>(std::size_t{what} / 8 * 256 + value, rest.size());
    mover.open(rest.first(length));
    rest = rest.subspan(length);
  }
  return 0;
}
