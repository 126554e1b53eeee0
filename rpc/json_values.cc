#include "rpc/json_values.h"

#include <utility>

namespace tern::rpc {

namespace {

constexpr char kRecordSeparator = 0x1e;  // RFC 7464: before each value

bool blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// What ends a number or a word without being part of it.
bool ends_plain(char c) noexcept {
  return blank(c) || c == kRecordSeparator || c == ',' || c == ']' || c == '{' || c == '[' ||
         c == '"';
}

tl::unexpected<Status> refuse_value(const char* why) { return fail(Code::invalid_argument, why); }

}  // namespace

void JsonValues::push(std::string_view piece) {
  piece_.erase(0, at_);
  at_ = 0;
  piece_.append(piece);
}

std::string JsonValues::take() {
  in_value_ = plain_ = false;
  want_ = Want::comma_or_end;
  return std::exchange(value_, {});
}

Result<std::optional<std::string>> JsonValues::next() {
  while (at_ < piece_.size()) {
    const char c = piece_[at_];
    if (in_value_ && plain_ && ends_plain(c)) return take();
    ++at_;
    if (c == '\n') ++line_now_;
    if (in_value_) {
      if (value_.size() >= limit_) {
        return fail(Code::resource_exhausted,
                    "a message of more than " + std::to_string(limit_) + " bytes");
      }
      value_.push_back(c);
      if (ends_value(c)) return take();
      continue;
    }
    if (between(c)) continue;
    line_ = line_now_;
    const Result<bool> begun = begin_value(c);
    if (!begun) return fail(begun.error());
    if (!*begun) continue;
    in_value_ = true;
    value_.push_back(c);
    in_string_ = c == '"';
    depth_ = c == '{' || c == '[' ? 1 : 0;
    plain_ = !in_string_ && depth_ == 0;
  }
  return over_ ? finish() : Result<std::optional<std::string>>(std::nullopt);
}

bool JsonValues::between(char c) const noexcept {
  return blank(c) || (c == kRecordSeparator && form_ != Form::array);
}

/// False: the character is between values.
Result<bool> JsonValues::begin_value(char first) {
  if (form_ == Form::done) return refuse_value("there is something behind the array of messages");
  if (form_ == Form::unknown) {
    form_ = first == '[' ? Form::array : Form::sequence;
    if (form_ == Form::array) return false;
  }
  if (form_ == Form::array) {
    if (first == ']' && want_ != Want::value) {
      form_ = Form::done;
      return false;
    }
    if (want_ == Want::comma_or_end) {
      if (first != ',') return refuse_value("there is no comma between the messages");
      want_ = Want::value;
      return false;
    }
  }
  if (first == ',' || first == ']' || first == '}' || first == ':') {
    return refuse_value("there is no message where one should be");
  }
  return true;
}

bool JsonValues::ends_value(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      return depth_ == 0;
    }
    return false;
  }
  if (plain_) return false;
  if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    return --depth_ == 0;
  }
  return false;
}

Result<std::optional<std::string>> JsonValues::finish() {
  if (in_value_ && plain_ && form_ == Form::sequence) return take();
  if (in_value_ || form_ == Form::array) return refuse_value("the last message has no end");
  return std::nullopt;
}

}  // namespace tern::rpc
