#include "http/event_stream_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace tern::http {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

bool EventStreamReader::next_line() {
  if (std::exchange(line_done_, false)) line_.clear();
  if (after_cr_ && !input_.empty()) {
    // CRLF is one end of a line, and may be cut in two.
    if (input_.front() == '\n') input_.remove_prefix(1);
    after_cr_ = false;
  }
  const std::size_t end = input_.find_first_of("\r\n");
  line_.append(input_.substr(0, end));
  if (first_line_ && (line_.size() >= kByteOrderMark.size() || end != std::string_view::npos)) {
    first_line_ = false;
    if (line_.starts_with(kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
  }
  if (end == std::string_view::npos) {
    input_ = {};
    return false;
  }
  after_cr_ = input_[end] == '\r';
  input_.remove_prefix(end + 1);
  line_done_ = true;
  return true;
}

Result<std::optional<EventStreamReader::Event>> EventStreamReader::next() {
  while (next_line()) {
    if (line_.size() > max_event_ || data_.size() > max_event_) break;
    if (!line_.empty()) {
      take_field(line_);
      continue;
    }
    last_id_ = id_;
    if (std::exchange(has_data_, false)) {
      Event event;
      event.name = name_.empty() ? "message" : std::exchange(name_, {});
      event.data = std::exchange(data_, {});
      event.data.pop_back();  // each line has brought its end
      event.id = last_id_;
      return event;
    }
    name_.clear();
  }
  if (line_.size() > max_event_ || data_.size() > max_event_) {
    return fail(Error::limit("an event of more than " + std::to_string(max_event_) + " bytes"));
  }
  return std::nullopt;
}

void EventStreamReader::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == 0) return;  // a comment
  const std::string_view name = line.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "event") {
    name_ = value;
  } else if (name == "data") {
    data_.append(value).push_back('\n');
    has_data_ = true;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) id_ = value;
  } else if (name == "retry" && !value.empty()) {
    std::int64_t time = 0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), time);
    const bool digits = value.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits && error == std::errc() && rest == value.data() + value.size()) {
      retry_ = std::min<std::chrono::milliseconds>(std::chrono::milliseconds(time), kMaxRetry);
    }
  }
}

}  // namespace tern::http
