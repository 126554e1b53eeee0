#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "base/timer_heap.h"
#include "http/exchange.h"

/// Server-sent events (WHATWG HTML §9.2), on any exchange.

namespace tern::http {

/// One event. Fluent.
class ServerEvent {
 public:
  ServerEvent() = default;
  /// Its data: text of any number of lines.
  explicit ServerEvent(std::string data) : data_(std::move(data)) {}
  /// The name that listeners are registered for; "message" without one. No line ends.
  ServerEvent& name(std::string value) & { return name_ = std::move(value), *this; }
  ServerEvent&& name(std::string value) && { return std::move(name(std::move(value))); }
  /// What the browser sends as `last-event-id` when it connects again. No line ends, no NUL.
  ServerEvent& id(std::string value) & { return id_ = std::move(value), *this; }
  ServerEvent&& id(std::string value) && { return std::move(id(std::move(value))); }
  /// How long the browser waits before it connects again, from now on.
  ServerEvent& retry(std::chrono::milliseconds time) & { return retry_ = time, *this; }
  ServerEvent&& retry(std::chrono::milliseconds time) && { return std::move(retry(time)); }

  /// As it goes over the wire. Error invalid for a name or an ID that cannot.
  Result<std::string> encoded() const;

 private:
  std::optional<std::string> data_;
  std::string name_;
  std::optional<std::string> id_;
  std::optional<std::chrono::milliseconds> retry_;
};

/// Fluent.
class EventStreamOptions {
 public:
  /// A comment is sent when nothing else was for so long, so that nobody between takes the
  /// connection for dead, and we learn when the client is. 0: none. Default 15 s.
  EventStreamOptions& heartbeat(Duration interval) & { return heartbeat_ = interval, *this; }
  EventStreamOptions&& heartbeat(Duration interval) && { return std::move(heartbeat(interval)); }
  /// A client that takes nothing for so long, counted from when that is seen (at a heartbeat), is
  /// given up: the stream is reset. Default 30 s.
  EventStreamOptions& send_timeout(Duration time) & { return send_timeout_ = time, *this; }
  EventStreamOptions&& send_timeout(Duration time) && { return std::move(send_timeout(time)); }

  Duration heartbeat() const noexcept { return heartbeat_; }
  Duration send_timeout() const noexcept { return send_timeout_; }

 private:
  Duration heartbeat_ = std::chrono::seconds(15);
  Duration send_timeout_ = std::chrono::seconds(30);
};

/// The response to a request for events. Lives in the handler, one coroutine uses it:
///
///   Task<void> clock(http::Exchange& exchange) {
///     http::EventStream events(exchange);
///     co_await events.start();
///     while (co_await events.pause(1s)) {
///       co_await events.send(http::ServerEvent("tick"));
///     }
///   }
///
/// When the handler returns, the response ends, and the browser will connect again: to have it stay
/// away answer its next request with 204. A server that drains ends its streams: `pause` says so.
class EventStream final : TimerNode, detail::DrainListener {
 public:
  explicit EventStream(Exchange& exchange, EventStreamOptions options = EventStreamOptions());
  ~EventStream();

  /// `last-event-id`: where a client that was here before wants to go on; empty for a new one.
  std::string_view last_event_id() const noexcept;
  /// Sends the head: 200, text/event-stream, not to be stored.
  Exchange::Write start();
  /// Waits while the client is behind (`Outgoing::kHighWater`). Error closed when it has gone,
  /// invalid for an event that cannot be sent.
  Exchange::Write send(const ServerEvent& event);
  /// The same without waiting; false when the event was left out, as the client is behind or gone:
  /// for events that the next one makes obsolete.
  bool offer(const ServerEvent& event);
  /// A comment, which clients ignore. No line ends.
  Exchange::Write comment(std::string_view text);

  /// The client has gone, or was given up.
  bool gone() const noexcept { return exchange_.outgoing().failed(); }

  /// Sleeps, but not longer than the client is there and the server wants to serve it; whether that
  /// is still so.
  Task<bool> pause(Duration time);

 private:
  class Doze;

  void expire(Timestamp now) override;
  void on_drain() noexcept override;
  void sent_something() noexcept { last_sent_ = exchange_.runtime().now(); }

  Exchange& exchange_;
  EventStreamOptions options_;
  Timestamp last_sent_{};
  std::optional<Timestamp> full_since_;
  Waiter* dozing_ = nullptr;
};

}  // namespace tern::http
