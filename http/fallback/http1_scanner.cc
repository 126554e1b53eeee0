#include "http/fallback/http1_scanner.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tern::fallback {

namespace {

/// Empty lines before a request, in bytes: some old clients send one after a body.
constexpr std::size_t kMaxSkipped = 8;
/// What a request line has beside its target: a method and a version.
constexpr std::size_t kLineSlack = 64;
/// How a response begins. Who sends something else, without an end of line perhaps, speaks another
/// protocol.
constexpr std::string_view kResponse = "HTTP/";
/// Digits of a chunk's size: below 2^60.
constexpr std::size_t kMaxDigits = 15;
/// Bytes of chunk extensions in one message; nobody uses them.
constexpr std::size_t kMaxExtensions = 4096;

bool control(std::uint8_t byte) noexcept { return (byte < 0x20 && byte != '\t') || byte == 0x7f; }
bool blank(std::uint8_t byte) noexcept { return byte == ' ' || byte == '\t'; }

/// How many bytes come before the first one below 0x20 or equal to 0x7f, eight at a time; where one
/// is among the last eight looked at, it is found one by one.
std::size_t plain_text(const std::uint8_t* bytes, std::size_t size) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  std::size_t count = 0;
  for (; count + 8 <= size; count += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + count, 8);
    const std::uint64_t below = (word - kOnes * 0x20) & ~word & kHigh;
    const std::uint64_t turned = word ^ (kOnes * 0x7f);
    const std::uint64_t deleted = (turned - kOnes) & ~turned & kHigh;
    if ((below | deleted) != 0) break;
  }
  while (count < size && bytes[count] >= 0x20 && bytes[count] != 0x7f) ++count;
  return count;
}

std::size_t plain_name(const std::uint8_t* bytes, std::size_t size) noexcept {
  std::size_t count = 0;
  while (count < size && bytes[count] > 0x20 && bytes[count] < 0x7f && bytes[count] != ':') {
    ++count;
  }
  return count;
}

}  // namespace

void Http1Scanner::expect_head(bool request) noexcept {
  state_ = request ? State::empty_line : State::start_line;
  request_ = request;
  begun_ = false;
  skipped_ = line_size_ = fields_size_ = lines_ = extensions_ = 0;
}

void Http1Scanner::expect_chunk(bool first) noexcept {
  state_ = first ? State::size : State::data_cr;
  begun_ = false;
  fields_size_ = lines_ = digits_ = 0;
  chunk_size_ = 0;
}

Http1Scanner::Result Http1Scanner::fail(int status, const char* reason) noexcept {
  failure_ = {status, reason};
  return Result::failed;
}

Http1Scanner::Result Http1Scanner::scan(ByteView bytes, std::size_t& used) noexcept {
  for (used = 0; used < bytes.size();) {
    used += skip_plain(bytes.subspan(used));
    if (used == bytes.size()) break;
    const Result result = step(bytes[used++]);
    if (result != Result::more) return result;
  }
  return Result::more;
}

/// Most bytes are such. At a limit it stops, and `step` says what that means.
std::size_t Http1Scanner::skip_plain(ByteView bytes) noexcept {
  const auto upto = [&](std::size_t limit, std::size_t counted) {
    return std::min(bytes.size(), limit - std::min(limit, counted));
  };
  std::size_t count = 0;
  switch (state_) {
    case State::start_line:
      if (!begun_ || (!request_ && line_size_ < kResponse.size())) return 0;
      count = plain_text(bytes.data(), upto(limits_.max_target + kLineSlack, line_size_));
      line_size_ += count;
      return count;
    case State::name:
      count = plain_name(bytes.data(), upto(limits_.max_field_section + 2, fields_size_));
      break;
    case State::value:
      count = plain_text(bytes.data(), upto(limits_.max_field_section + 2, fields_size_));
      break;
    default: return 0;
  }
  fields_size_ += count;
  return count;
}

Http1Scanner::Result Http1Scanner::step(std::uint8_t byte) noexcept {
  switch (state_) {
    case State::empty_line:
      if (byte == '\r') {
        state_ = State::empty_line_cr;
        return ++skipped_ > kMaxSkipped ? fail(400, "empty lines before a request") : Result::more;
      }
      state_ = State::start_line;
      [[fallthrough]];
    case State::start_line:
      begun_ = true;
      if (!request_ && line_size_ < kResponse.size() &&
          static_cast<char>(byte) != kResponse[line_size_]) {
        return fail(400, "it does not begin with HTTP/");
      }
      if (byte == '\r') {
        state_ = State::start_line_cr;
        return Result::more;
      }
      if (byte == '\n') return fail(400, "a line that ends with a bare LF");
      if (byte < 0x20 || byte == 0x7f) return fail(400, "a control character in the first line");
      if (++line_size_ > limits_.max_target + kLineSlack) {
        return fail(414, "a request target above our limit (max_target)");
      }
      return Result::more;
    case State::empty_line_cr:
      if (byte != '\n') return fail(400, "a bare CR");
      ++skipped_;
      state_ = State::empty_line;
      return Result::more;
    case State::start_line_cr:
      if (byte != '\n') return fail(400, "a bare CR");
      state_ = State::field_begins;
      return Result::more;
    case State::field_begins:
    case State::name:
    case State::value:
    case State::value_cr:
    case State::last_cr: return fields(byte);
    case State::data_cr:
    case State::data_lf:
    case State::size:
    case State::extension:
    case State::size_cr: begun_ = true; return chunk(byte);
  }
  return Result::more;
}

Http1Scanner::Result Http1Scanner::fields(std::uint8_t byte) noexcept {
  if (++fields_size_ > limits_.max_field_section + 2) {
    return fail(431, "a header section above our limit (max_field_section)");
  }
  switch (state_) {
    case State::field_begins:
      if (byte == '\r') {
        state_ = State::last_cr;
        return Result::more;
      }
      if (blank(byte)) return fail(400, "a folded field line");
      if (byte == ':') return fail(400, "a field without a name");
      if (++lines_ > limits_.max_fields)
        return fail(431, "more field lines than our limit (max_fields)");
      state_ = State::name;
      [[fallthrough]];
    case State::name:
      if (byte == ':') {
        state_ = State::value;
        return Result::more;
      }
      if (byte == '\n') return fail(400, "a line that ends with a bare LF");
      if (blank(byte)) return fail(400, "a blank in a field's name");
      if (byte < 0x20 || byte >= 0x7f) return fail(400, "a field's name that is no token");
      return Result::more;
    case State::value:
      if (byte == '\r') {
        state_ = State::value_cr;
        return Result::more;
      }
      if (byte == '\n') return fail(400, "a line that ends with a bare LF");
      if (control(byte)) return fail(400, "a control character in a field's value");
      return Result::more;
    case State::value_cr:
      if (byte != '\n') return fail(400, "a bare CR");
      state_ = State::field_begins;
      return Result::more;
    default:  // last_cr
      if (byte != '\n') return fail(400, "a bare CR");
      return Result::complete;
  }
}

Http1Scanner::Result Http1Scanner::chunk(std::uint8_t byte) noexcept {
  switch (state_) {
    case State::data_cr:
      if (byte != '\r') return fail(400, "a chunk longer than its size");
      state_ = State::data_lf;
      return Result::more;
    case State::data_lf:
      if (byte != '\n') return fail(400, "a chunk longer than its size");
      state_ = State::size;
      return Result::more;
    case State::size: {
      unsigned digit = 16;
      if (byte >= '0' && byte <= '9') digit = byte - static_cast<unsigned>('0');
      const auto lower = static_cast<std::uint8_t>(byte | 0x20);
      if (lower >= 'a' && lower <= 'f') digit = lower - static_cast<unsigned>('a') + 10;
      if (digit < 16) {
        if (++digits_ > kMaxDigits) return fail(400, "a chunk size that is too long");
        chunk_size_ = chunk_size_ * 16 + digit;
        return Result::more;
      }
      if (digits_ == 0 || (byte != ';' && byte != '\r')) {
        return fail(400, "a chunk size that is no plain number");
      }
      state_ = byte == ';' ? State::extension : State::size_cr;
      return Result::more;
    }
    case State::extension:
      if (byte == '\r') {
        state_ = State::size_cr;
        return Result::more;
      }
      if (byte == '\n') return fail(400, "a line that ends with a bare LF");
      if (control(byte)) return fail(400, "a control character in a chunk extension");
      if (++extensions_ > kMaxExtensions) return fail(400, "chunk extensions above our limit");
      return Result::more;
    default:  // size_cr
      if (byte != '\n') return fail(400, "a bare CR");
      if (chunk_size_ > 0) return Result::complete;
      state_ = State::field_begins;  // trailers, or the empty line that ends the message
      return Result::more;
  }
}

}  // namespace tern::fallback
