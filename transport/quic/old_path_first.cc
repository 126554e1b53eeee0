#include "transport/quic/old_path_first.h"

#include <bit>

#include "base/varint.h"
#include "transport/quic/frames.h"

namespace tern::quic {

namespace {

/// A varint in a frame: where it stands, and what it says.
struct Field {
  std::uint8_t* at = nullptr;
  std::size_t size = 0;
  std::uint64_t value = 0;
};

bool read(MutableBytes& rest, Field& field) noexcept {
  const auto varint = read_varint(rest);
  if (!varint) return false;
  field = {rest.data(), varint->size, varint->value};
  rest = rest.subspan(varint->size);
  return true;
}

/// In the form of `size` bytes, which is long enough.
void write_sized(std::uint8_t* out, std::size_t size, std::uint64_t value) noexcept {
  for (std::size_t i = size; i-- > 0; value >>= 8) out[i] = static_cast<std::uint8_t>(value);
  out[0] = static_cast<std::uint8_t>(out[0] | std::countr_zero(size) << 6);
}

}  // namespace

CutAck cut_ack(MutableBytes frame, std::uint64_t limit, std::uint64_t& ect0,
               std::uint64_t first_probe, std::uint64_t last_probe) noexcept {
  CutAck result;
  MutableBytes rest = frame.subspan(1);
  const bool ecn = frame[0] == kAckEcn;
  Field largest;
  Field delay;
  Field count;
  Field first;
  if (!read(rest, largest) || !read(rest, delay) || !read(rest, count) || !read(rest, first) ||
      first.value > largest.value) {
    return result;
  }
  // The ranges, highest first, until one reaches below the limit.
  std::uint64_t high = largest.value;
  std::uint64_t low = high - first.value;
  std::uint64_t left = count.value;
  std::uint64_t taken = 0;    // packets
  MutableBytes pairs = rest;  // those behind the range
  const auto stays = [&] { return low < limit && (low < first_probe || high > last_probe); };
  bool below = stays();
  for (std::uint64_t i = 0; i < count.value; ++i) {
    Field gap;
    Field length;
    if (!read(rest, gap) || !read(rest, length) || gap.value + 2 > low ||
        length.value > low - gap.value - 2) {
      return result;
    }
    if (below) continue;
    taken += high - low + 1;
    high = low - gap.value - 2;
    low = high - length.value;
    pairs = rest;
    --left;
    below = stays();
  }
  MutableBytes pairs_end = rest;
  Field counts[3];
  for (Field& each : counts) {
    if (ecn && !read(rest, each)) return result;
  }
  result.length = frame.size() - rest.size();
  if (!below) {
    std::fill_n(frame.data(), result.length, kPadding);
    return result;
  }
  result.any = true;
  result.highest = std::min(high, limit - 1);
  taken += high - result.highest;
  if (taken > 0) {
    // It gets no longer: a range less is two bytes less, and the first becomes no longer than those
    // it stands for.
    const std::size_t pairs_size = pairs.size() - pairs_end.size();
    write_sized(largest.at, largest.size, result.highest);
    write_sized(count.at, count.size, left);
    std::uint8_t* out = write_varint(first.at, result.highest - low);
    out = std::copy_n(pairs.data(), pairs_size, out);
    if (ecn) {
      // What was taken out had been marked, or the count does not fall.
      const std::uint64_t fewer = counts[0].value - std::min(counts[0].value, taken);
      counts[0].value = std::max(fewer, std::min(ect0, counts[0].value));
      write_sized(counts[0].at, counts[0].size, counts[0].value);
      const std::size_t size = static_cast<std::size_t>(rest.data() - counts[0].at);
      out = std::copy_n(counts[0].at, size, out);
    }
    std::fill(out, rest.data(), kPadding);
  }
  if (ecn) ect0 = counts[0].value;
  return result;
}

void AckRanges::add(std::uint64_t low, std::uint64_t high) noexcept {
  // Those that it touches become one with it.
  std::size_t begin = 0;
  while (begin < count && all[begin].low > high + 1) ++begin;
  std::size_t end = begin;
  for (; end < count && all[end].high + 1 >= low; ++end) {
    low = std::min(low, all[end].low);
    high = std::max(high, all[end].high);
  }
  if (end == begin) {
    if (begin == kMax) return;
    count = std::min(count + 1, kMax);
    std::copy_backward(all.data() + begin, all.data() + count - 1, all.data() + count);
  } else {
    std::copy(all.data() + end, all.data() + count, all.data() + begin + 1);
    count -= end - begin - 1;
  }
  all[begin] = {low, high};
}

bool read_ack(ByteView frame, AckRanges& ranges) noexcept {
  ByteView rest = frame.subspan(1);
  std::array<std::uint64_t, 4> head;  // largest, delay, count, first range
  for (std::uint64_t& each : head) {
    const auto varint = read_varint(rest);
    if (!varint) return false;
    each = varint->value;
    rest = rest.subspan(varint->size);
  }
  if (head[3] > head[0]) return false;
  ranges.count = 0;
  std::uint64_t low = head[0] - head[3];
  ranges.add(low, head[0]);
  for (std::uint64_t i = 0; i < head[2]; ++i) {
    const auto gap = read_varint(rest);
    if (!gap || gap->value + 2 > low) return false;
    const auto length = read_varint(rest.subspan(gap->size));
    const std::uint64_t high = low - gap->value - 2;
    if (!length || length->value > high) return false;
    rest = rest.subspan(gap->size + length->size);
    low = high - length->value;
    ranges.add(low, high);
  }
  return true;
}

bool write_ack(MutableBytes frame, const AckRanges& ranges, std::size_t first,
               std::size_t count) noexcept {
  // The delay, and ECN's counts behind the ranges, stay as they are.
  ByteView rest = frame;
  rest = rest.subspan(1 + varint_size_of(rest[1]));
  const ByteView delay = rest.first(varint_size_of(rest[0]));
  rest = rest.subspan(delay.size());
  const auto before = read_varint(rest);
  rest = rest.subspan(before->size);
  for (std::uint64_t i = 0; i < 1 + 2 * before->value; ++i) {
    rest = rest.subspan(varint_size_of(rest[0]));
  }
  std::array<std::uint8_t, kMaxVarintSize * (2 * AckRanges::kMax + 6)> made;
  const AckRanges::Range* range = ranges.all.data() + first;
  std::uint8_t* out = made.data();
  *out++ = frame[0];
  out = write_varint(out, range->high);
  out = std::copy(delay.begin(), delay.end(), out);
  out = write_varint(out, count - 1);
  out = write_varint(out, range->high - range->low);
  for (std::size_t i = 1; i < count; ++i, ++range) {
    out = write_varint(out, range[0].low - range[1].high - 2);
    out = write_varint(out, range[1].high - range[1].low);
  }
  out = std::copy(rest.begin(), rest.end(), out);
  const auto size = static_cast<std::size_t>(out - made.data());
  if (size > frame.size()) return false;
  std::copy_n(made.data(), size, frame.data());
  std::fill(frame.begin() + static_cast<std::ptrdiff_t>(size), frame.end(), kPadding);
  return true;
}

/// Puts into the frame what was taken out of others; true: all of it.
///
/// It can get no longer. If it has no room for all, the ranges of the old path give way, which have
/// been seen or come again, and then the highest, for the next frame: lower ones that come after
/// higher ones would be too late.
bool OldPathFirst::restore(MutableBytes frame) noexcept {
  if (hidden_.count == 0) return true;
  AckRanges ranges;
  if (!read_ack(frame, ranges)) return true;
  ranges.add(hidden_);
  if (write_ack(frame, ranges, 0, ranges.count)) return true;
  while (ranges.all[ranges.count - 1].high < hidden_.all[hidden_.count - 1].low) --ranges.count;
  std::size_t first = 0;
  while (first < ranges.count && !write_ack(frame, ranges, first, ranges.count - first)) ++first;
  if (first == 0 || first == ranges.count) return true;
  while (hidden_.count > 0 && hidden_.all[hidden_.count - 1].high <= ranges.all[first].high) {
    --hidden_.count;
  }
  return hidden_.count == 0;
}

/// Notes what `cut_ack` takes out of the frame.
void OldPathFirst::hide(ByteView frame, const CutAck& cut) noexcept {
  AckRanges ranges;
  if (!read_ack(frame, ranges)) return;
  for (std::size_t i = 0; i < ranges.count; ++i) {
    const auto& [low, high] = ranges.all[i];
    if (cut.any && high <= cut.highest) break;
    hidden_.add(cut.any ? std::max(low, cut.highest + 1) : low, high);
  }
}

void OldPathFirst::opened(MutableBytes payload) noexcept {
  if (state_ == State::off) return;
  while (!payload.empty()) {
    const std::uint8_t type = payload[0];
    if (type != kAck && type != kAckEcn) {
      ByteView rest = payload;
      if (!skip_frame(rest)) return;
      payload = payload.last(rest.size());
      continue;
    }
    ByteView whole = payload;
    if (!skip_frame(whole)) return;
    const std::size_t length = payload.size() - whole.size();
    const MutableBytes frame = payload.first(length);
    std::uint8_t copy[kMaxAck];
    bool over = state_ == State::restoring || length > sizeof copy || now_ >= until();
    if (!over) {
      // First as a question: the frame may be the one that ends it.
      std::copy_n(frame.data(), length, copy);
      std::uint64_t seen = ect0_;
      const CutAck cut = cut_ack({copy, length}, first_new_, seen, first_probe_, last_probe_);
      if (cut.length == 0) return;
      if (cut.any && cut.highest > acknowledged_) {
        acknowledged_ = cut.highest;
        progress_ = now_;
      }
      over = first_new_ != kNone && acknowledged_ + kAlmost >= first_new_;
      if (over) {
        settled_ = now_ + kSettling * patience_;
      } else {
        hide(frame, cut);
        std::copy_n(copy, length, frame.data());
        ect0_ = seen;
      }
    }
    if (over) {
      state_ = State::restoring;
      if (restore(frame)) return end();
    }
    payload = payload.subspan(length);
  }
}

}  // namespace tern::quic
