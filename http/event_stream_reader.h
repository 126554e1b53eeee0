#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace tern::http {

/// Reads a text/event-stream as browsers do (WHATWG HTML §9.2.5 and 6), for clients. Bytes in, in
/// pieces cut anywhere, events out. Bytes that are not UTF-8 are passed on as they are.
class EventStreamReader {
 public:
  /// Of a line, and of an event's data.
  static constexpr std::size_t kDefaultMaxEvent = 1024 * 1024;
  /// What a server may wish for at most: no more than this can be slept, whatever it says.
  static constexpr std::chrono::hours kMaxRetry{24};

  explicit EventStreamReader(std::size_t max_event = kDefaultMaxEvent) noexcept
      : max_event_(max_event) {}

  struct Event {
    std::string name;  ///< "message" where the server gave none
    std::string data;
    std::string id;  ///< the last one the stream has given, perhaps with an earlier event
  };

  /// The bytes stay the caller's, and in place until `next` has returned nothing.
  void feed(ByteView bytes) noexcept { input_ = as_text(bytes); }
  /// The next event; nothing when more input is needed. Error limit for one that is too long. What
  /// has begun when the stream ends is no event.
  Result<std::optional<Event>> next();

  /// What to send as `last-event-id` when connecting again.
  const std::string& last_event_id() const noexcept { return last_id_; }
  /// How long to wait before that, if the server said.
  std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }

 private:
  /// The next complete line, without its end, in `line_`.
  bool next_line();
  void take_field(std::string_view line);

  std::size_t max_event_;
  std::string_view input_;
  std::string line_;
  bool line_done_ = false;
  bool after_cr_ = false;
  bool first_line_ = true;
  std::string name_;
  std::string data_;
  bool has_data_ = false;
  std::string id_;
  std::string last_id_;
  std::optional<std::chrono::milliseconds> retry_;
};

}  // namespace tern::http
