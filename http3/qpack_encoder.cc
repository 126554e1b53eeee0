#include "http3/qpack_encoder.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/varint.h"
#include "http3/frame_walker.h"
#include "http3/qpack_tables.h"

namespace tern::http3 {

namespace {

/// Room before a section's lines for its prefix (RFC 9204 §4.5.1) and the frame's header, whose
/// sizes are known when the lines are.
constexpr std::size_t kHeadroom = 32;
static_assert(kHeadroom >= 2 * kMaxPrefixedInt + 1 + kMaxVarintSize);
/// Sections above it are not remembered.
constexpr std::size_t kMaxRemembered = 1024;

// Representations and instructions: their high bits (RFC 9204 §4.3 and §4.5).
constexpr std::uint8_t kIndexedStatic = 0xc0;      // 6 bits
constexpr std::uint8_t kIndexedDynamic = 0x80;     // 6 bits
constexpr std::uint8_t kIndexedPostBase = 0x10;    // 4 bits
constexpr std::uint8_t kLiteralStaticName = 0x50;  // 4 bits
constexpr std::uint8_t kLiteralName = 0x20;        // 3 bits
constexpr std::uint8_t kInsertStaticName = 0xc0;   // 6 bits
constexpr std::uint8_t kInsertName = 0x40;         // 5 bits
constexpr std::uint8_t kSetCapacity = 0x20;        // 5 bits
constexpr std::uint8_t kDuplicate = 0x00;          // 5 bits
constexpr std::uint8_t kSectionAcknowledgment = 0x80;
constexpr std::uint8_t kStreamCancellation = 0x40;

// The first line of some names in the static table.
constexpr int kPath = 1;
constexpr int kAge = 2;
constexpr int kContentLength = 4;
constexpr int kCookie = 5;
constexpr int kEtag = 7;
constexpr int kIfModifiedSince = 8;
constexpr int kIfNoneMatch = 9;
constexpr int kLocation = 12;
constexpr int kSetCookie = 14;
constexpr int kAuthorization = 84;
/// A cookie shorter than this could be guessed from the size of what is sent (RFC 9204 §7.1).
constexpr std::size_t kShortCookie = 20;

/// Its values must not be found out by guessing, nor be indexed by anybody on the way.
bool is_secret(std::string_view value, int static_name) noexcept {
  return static_name == kAuthorization || (static_name == kCookie && value.size() < kShortCookie);
}

/// Copies of one another, neither changed since: they lie in the same memory.
bool same(const http::Fields& one, const http::Fields& other) noexcept {
  return !one.empty() && one.size() == other.size() && one[0].name.data() == other[0].name.data();
}

std::uint32_t hash_of(std::string_view name, std::string_view value) noexcept {
  const std::hash<std::string_view> hash;
  return static_cast<std::uint32_t>(hash(name) * 31 ^ hash(value));
}

/// What a string may take: its length, and as many bytes as it has.
constexpr std::size_t string_room(std::string_view text) noexcept {
  return kMaxPrefixedInt + text.size();
}

/// A string whose length has a prefix of `bits`, in whichever form is shorter.
std::uint8_t* write_string(std::uint8_t* out, std::uint8_t first, unsigned bits,
                           std::string_view text) noexcept {
  const std::size_t coded = huffman_size(text);
  if (coded < text.size()) {
    out = write_prefixed(out, static_cast<std::uint8_t>(first | 1u << bits), bits, coded);
    return huffman_encode(out, text);
  }
  out = write_prefixed(out, first, bits, text.size());
  return std::copy(text.begin(), text.end(), out);
}

/// The place of the one that `is` it; else a new one, or that of the oldest, which is `next`.
template <typename Item, typename Is>
Item& place_for(std::vector<Item>& items, std::size_t most, std::size_t& next, Is is) {
  const auto found = std::find_if(items.begin(), items.end(), is);
  if (found != items.end()) return *found;
  if (items.size() < most) return items.emplace_back();
  Item& oldest = items[next];
  next = (next + 1) % most;
  return oldest;
}

}  // namespace

void QpackEncoder::set_peer(std::uint64_t max_capacity, std::uint64_t blocked_streams) noexcept {
  constexpr std::uint64_t kMaxBlocked = 100;
  max_entries_ = max_capacity / kEntryOverhead;
  capacity_ = max_entries_ == 0
                  ? 0
                  : static_cast<std::size_t>(std::min<std::uint64_t>(max_capacity, max_capacity_));
  blocked_streams_ = static_cast<std::size_t>(std::min(blocked_streams, kMaxBlocked));
  remembered_.clear();
  remembered_requests_.clear();
  next_remembered_ = next_request_ = 0;
}

// ---- sections -----------------------------------------------------------------------------------

void QpackEncoder::begin(quic::StreamId stream) noexcept {
  stream_ = stream;
  start_ = end_ = kHeadroom;
  base_ = inserted();
  references_ = References();
  feedback_ = 0;
  use_table_ = capacity_ > 0 && outstanding() < kMaxOutstanding;
  final_ = use_table_ || max_capacity_ == 0;
  may_block_ = false;
  if (!use_table_ || blocked_streams_ == 0) return;
  if (known_received_ == inserted()) {  // so no section waits
    may_block_ = true;
    return;
  }
  // RFC 9204 §2.1.2. Sections, where streams would do: most have one.
  std::size_t waiting = 0;
  for (std::size_t i = outstanding_front_; i < outstanding_.size(); ++i) {
    const Outstanding& section = outstanding_[i];
    if (section.stream >= 0 && section.references.required > known_received_) ++waiting;
  }
  may_block_ = waiting < blocked_streams_;
}

void QpackEncoder::add(std::string_view name, std::string_view value) {
  const StaticMatch match = find_static(name, value);
  if (match.line >= 0) {
    std::uint8_t* const out = room(kMaxPrefixedInt);
    end_ = static_cast<std::size_t>(
        write_prefixed(out, kIndexedStatic, 6, static_cast<std::uint64_t>(match.line)) -
        scratch_.data());
    return;
  }
  if (!use_table_ || !worth_inserting(name, value, match.name)) {
    literal(name, value, match.name);
    return;
  }
  const std::uint32_t hash = hash_of(name, value);
  std::uint64_t entry = find(hash, name, value);
  if (entry == kNoEntry || entry < draining_) {
    if (!make_room(name.size() + value.size() + kEntryOverhead)) {
      final_ = false;
      literal(name, value, match.name);
      return;
    }
    if (entry != kNoEntry && entry >= first_) {
      duplicate(entry);
    } else {
      insert(hash, name, value, match.name);
    }
    entry = inserted() - 1;
  }
  if (may_refer(entry)) {
    refer(entry);
    return;
  }
  final_ = false;
  literal(name, value, match.name);
}

ByteView QpackEncoder::finish() {
  std::uint8_t prefix[2 * kMaxPrefixedInt];
  std::uint8_t* out = prefix;
  const std::uint64_t required = references_.required;
  if (required == 0) {
    *out++ = 0;
    *out++ = 0;
  } else {
    out = write_prefixed(out, 0, 8, required % (2 * max_entries_) + 1);
    const bool negative = base_ < required;
    out = write_prefixed(out, negative ? 0x80 : 0, 7,
                         negative ? required - base_ - 1 : base_ - required);
    const bool kept = keep_outstanding(stream_, references_);
    TERN_CHECK(kept);
  }
  if (scratch_.size() < end_) scratch_.resize(end_);  // a section without lines
  const auto prefix_size = static_cast<std::size_t>(out - prefix);
  const std::uint64_t length = prefix_size + end_ - kHeadroom;
  start_ = kHeadroom - prefix_size - varint_size(length) - 1;
  std::uint8_t* at = scratch_.data() + start_;
  *at++ = static_cast<std::uint8_t>(kFrameHeaders);
  at = write_varint(at, length);
  std::copy(prefix, out, at);
  return ByteView(scratch_.data() + start_, end_ - start_);
}

bool QpackEncoder::RememberedRequest::is(const http::RequestHead& head) const noexcept {
  return same(fields, head.fields) && path == head.path && authority == head.authority &&
         method == head.method && scheme == head.scheme;
}

ByteView QpackEncoder::recall(quic::StreamId stream, int status, const http::Fields& fields) {
  for (const Remembered& kept : remembered_) {
    if (kept.status == status && same(kept.fields, fields)) return recall(stream, kept);
  }
  return {};
}

ByteView QpackEncoder::recall(quic::StreamId stream, const http::RequestHead& head) {
  for (const RememberedRequest& kept : remembered_requests_) {
    if (!kept.is(head)) continue;
    const ByteView frame = recall(stream, kept);
    repeats_ = frame.empty();
    return frame;
  }
  repeats_ = asked_before(asked_requests_, head.fields, std::hash<std::string_view>()(head.path));
  return {};
}

bool QpackEncoder::asked_before(const std::vector<Asked>& asked, const http::Fields& fields,
                                std::size_t key) noexcept {
  return std::any_of(asked.begin(), asked.end(), [&](const Asked& each) {
    return each.key == key && same(each.fields, fields);
  });
}

ByteView QpackEncoder::recall(quic::StreamId stream, const Remembered& kept) {
  if (!kept.final && kept.known_received != known_received_) return {};
  if (kept.references.required > 0) {
    if (kept.references.required > known_received_ || kept.references.oldest < draining_) {
      return {};
    }
    if (!keep_outstanding(stream, kept.references)) return {};
  }
  feedback_ = 0;
  return kept.frame;
}

void QpackEncoder::remember(int status, const http::Fields& fields) {
  if (fields.empty()) return;
  const auto key = static_cast<std::size_t>(status);
  if (!asked_before(asked_, fields, key)) {
    place_for(asked_, kRemembered, next_asked_, [](const Asked&) { return false; }) = {fields, key};
    return;
  }
  if (!may_remember()) return;
  Remembered& kept =
      place_for(remembered_, kRemembered, next_remembered_, [&](const Remembered& other) {
        return other.status == status && same(other.fields, fields);
      });
  kept.status = status;
  fill(kept, fields);
}

void QpackEncoder::remember(const http::RequestHead& head) {
  if (head.fields.empty()) return;
  if (!std::exchange(repeats_, false)) {
    place_for(asked_requests_, kRememberedRequests, next_asked_request_, [](const Asked&) {
      return false;
    }) = {head.fields, std::hash<std::string_view>()(head.path)};
    return;
  }
  if (!may_remember()) return;
  RememberedRequest& kept =
      place_for(remembered_requests_, kRememberedRequests, next_request_,
                [&](const RememberedRequest& other) { return other.is(head); });
  kept.method = head.method;
  kept.scheme = head.scheme;
  kept.authority = head.authority;
  kept.path = head.path;
  fill(kept, head.fields);
}

bool QpackEncoder::may_remember() const noexcept {
  return (use_table_ || capacity_ == 0) && end_ - start_ <= kMaxRemembered;
}

void QpackEncoder::fill(Remembered& kept, const http::Fields& fields) const {
  kept.fields = fields;
  kept.final = final_;
  kept.known_received = known_received_;
  kept.references = references_;
  kept.frame.assign(scratch_.data() + start_, scratch_.data() + end_);
}

/// Room for `size` more bytes of the section; where they begin.
std::uint8_t* QpackEncoder::room(std::size_t size) {
  if (scratch_.size() < end_ + size) scratch_.resize(std::max(end_ + size, scratch_.size() * 2));
  return scratch_.data() + end_;
}

void QpackEncoder::literal(std::string_view name, std::string_view value, int static_name) {
  std::uint8_t* out = room(string_room(name) + string_room(value));
  const bool secret = is_secret(value, static_name);
  if (static_name >= 0) {
    const std::uint8_t first = kLiteralStaticName | (secret ? 0x20 : 0);
    out = write_prefixed(out, first, 4, static_cast<std::uint64_t>(static_name));
  } else {
    out = write_string(out, kLiteralName, 3, name);
  }
  out = write_string(out, 0, 7, value);
  end_ = static_cast<std::size_t>(out - scratch_.data());
}

// ---- the table ----------------------------------------------------------------------------------

bool QpackEncoder::worth_inserting(std::string_view name, std::string_view value,
                                   int static_name) const noexcept {
  if (name.size() + value.size() + kEntryOverhead > capacity_ / 4 * 3) return false;
  switch (static_name) {
    case -1:
      return repeats_ || name == "host" || name == "te" || name == ":protocol" ||
             name == "priority";
    case kPath: return repeats_;
    case kAge:
    case kContentLength:
    case kEtag:
    case kIfModifiedSince:
    case kIfNoneMatch:
    case kLocation:
    case kSetCookie: return false;
    default: return !is_secret(value, static_name);
  }
}

std::uint64_t QpackEncoder::find(std::uint32_t hash, std::string_view name,
                                 std::string_view value) const noexcept {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    const Entry& entry = entries_[i];
    if (entry.hash != hash || entry.name_size != name.size()) continue;
    const std::string_view text = entry.text;
    if (text.substr(0, name.size()) == name && text.substr(name.size()) == value) {
      return first_ + i;
    }
  }
  return kNoEntry;
}

bool QpackEncoder::may_refer(std::uint64_t entry) const noexcept {
  return entry < known_received_ || may_block_;
}

void QpackEncoder::refer(std::uint64_t entry) {
  references_.required = std::max(references_.required, entry + 1);
  references_.oldest = std::min(references_.oldest, entry);
  std::uint8_t* out = room(kMaxPrefixedInt);
  out = entry < base_ ? write_prefixed(out, kIndexedDynamic, 6, base_ - 1 - entry)
                      : write_prefixed(out, kIndexedPostBase, 4, entry - base_);
  end_ = static_cast<std::size_t>(out - scratch_.data());
}

/// Evicts what has to go for an entry of `size` bytes. False: something that is still referred to,
/// or that the peer may not have yet, would have to (RFC 9204 §2.1.1).
bool QpackEncoder::make_room(std::size_t size) {
  if (instructions_.size() > kMaxInstructions) return false;
  if (size_ + size <= capacity_) return true;
  std::uint64_t keep = std::min(known_received_, references_.oldest);
  for (std::size_t i = outstanding_front_; i < outstanding_.size(); ++i) {
    if (outstanding_[i].stream >= 0) keep = std::min(keep, outstanding_[i].references.oldest);
  }
  const std::size_t needed = size_ + size - capacity_;
  std::size_t freed = 0;
  std::size_t count = 0;
  while (freed < needed && count < entries_.size() && first_ + count < keep) {
    freed += entries_[count++].size();
  }
  if (freed < needed) return false;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
  first_ += count;
  size_ -= freed;
  return true;
}

void QpackEncoder::insert(std::uint32_t hash, std::string_view name, std::string_view value,
                          int static_name) {
  const std::size_t before = instructions_.size();
  instructions_.resize(before + kMaxPrefixedInt + string_room(name) + string_room(value));
  std::uint8_t* out = instructions_.data() + before;
  if (!std::exchange(capacity_sent_, true)) out = write_prefixed(out, kSetCapacity, 5, capacity_);
  if (static_name >= 0) {
    out = write_prefixed(out, kInsertStaticName, 6, static_cast<std::uint64_t>(static_name));
  } else {
    out = write_string(out, kInsertName, 5, name);
  }
  out = write_string(out, 0, 7, value);
  instructions_.resize(static_cast<std::size_t>(out - instructions_.data()));
  Entry entry;
  entry.hash = hash;
  entry.name_size = static_cast<std::uint32_t>(name.size());
  entry.text.reserve(name.size() + value.size());
  entry.text.append(name).append(value);
  place(std::move(entry));
}

void QpackEncoder::duplicate(std::uint64_t entry) {
  std::uint8_t bytes[kMaxPrefixedInt];
  instructions_.insert(instructions_.end(), bytes,
                       write_prefixed(bytes, kDuplicate, 5, inserted() - 1 - entry));
  place(Entry(entries_[static_cast<std::size_t>(entry - first_)]));
}

void QpackEncoder::place(Entry entry) {
  size_ += entry.size();
  entries_.push_back(std::move(entry));
  note_draining();
}

/// RFC 9204 §2.1.1.1: what is next to be evicted is not referred to any more.
void QpackEncoder::note_draining() noexcept {
  const std::size_t reserve = std::min<std::size_t>(512, capacity_ / 8);
  const std::size_t left = capacity_ - size_;
  draining_ = first_;
  std::size_t sum = left;
  for (std::size_t i = 0; sum < reserve && i < entries_.size(); ++i, ++draining_) {
    sum += entries_[i].size();
  }
}

Bytes QpackEncoder::take_instructions() {
  return Bytes::take(std::exchange(instructions_, std::vector<std::uint8_t>()));
}

// ---- what the peer has --------------------------------------------------------------------------

bool QpackEncoder::keep_outstanding(quic::StreamId stream, const References& references) {
  if (outstanding() >= kMaxOutstanding) return false;
  outstanding_.push_back({stream, references});
  return true;
}

bool QpackEncoder::acknowledge(quic::StreamId stream) noexcept {
  for (std::size_t i = outstanding_front_; i < outstanding_.size(); ++i) {
    Outstanding& section = outstanding_[i];
    if (section.stream != stream) continue;
    known_received_ = std::max(known_received_, section.references.required);
    section.stream = -1;
    drop_acknowledged();
    return true;
  }
  return false;
}

void QpackEncoder::cancel(quic::StreamId stream) noexcept {
  for (std::size_t i = outstanding_front_; i < outstanding_.size(); ++i) {
    if (outstanding_[i].stream == stream) outstanding_[i].stream = -1;
  }
  drop_acknowledged();
}

void QpackEncoder::drop_acknowledged() noexcept {
  while (outstanding_front_ < outstanding_.size() && outstanding_[outstanding_front_].stream < 0) {
    ++outstanding_front_;
  }
  if (outstanding_front_ == outstanding_.size()) {
    outstanding_.clear();
    outstanding_front_ = 0;
  } else if (outstanding_front_ >= 64 && outstanding_front_ * 2 > outstanding_.size()) {
    outstanding_.erase(outstanding_.begin(),
                       outstanding_.begin() + static_cast<std::ptrdiff_t>(outstanding_front_));
    outstanding_front_ = 0;
  }
}

bool QpackEncoder::read(ByteView bytes) noexcept {
  feedback_ += bytes.size();
  if (feedback_ > kMaxFeedback) return false;
  while (!bytes.empty()) {
    if (!in_instruction_) {
      opcode_ = bytes[0];
      number_.begin((opcode_ & kSectionAcknowledgment) != 0 ? 7 : 6);
      in_instruction_ = true;
    }
    switch (number_.take(bytes)) {
      case PrefixedIntReader::State::more: return true;
      case PrefixedIntReader::State::too_large: return false;
      case PrefixedIntReader::State::whole: break;
    }
    in_instruction_ = false;
    if (!instruction(opcode_, number_.value())) return false;
  }
  return true;
}

/// RFC 9204 §4.4.
bool QpackEncoder::instruction(std::uint8_t first, std::uint64_t number) noexcept {
  if ((first & kSectionAcknowledgment) != 0) {
    return acknowledge(static_cast<quic::StreamId>(number));
  }
  if ((first & kStreamCancellation) != 0) {
    cancel(static_cast<quic::StreamId>(number));
    return true;
  }
  if (number == 0 || number > inserted() - known_received_) return false;
  known_received_ += number;
  return true;
}

}  // namespace tern::http3
