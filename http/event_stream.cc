#include "http/event_stream.h"

#include <algorithm>
#include <coroutine>

#include "base/check.h"
#include "base/ready_queue.h"

namespace tern::http {

namespace {

bool one_line(std::string_view text) noexcept {
  return text.find_first_of("\r\n") == std::string_view::npos;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).push_back('\n');
}

/// A `data` field for each line; CR, LF and CRLF end one (§9.2.6).
void append_data(std::string& out, std::string_view data) {
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    append_field(out, "data", data.substr(0, end));
    if (end == std::string_view::npos) return;
    const bool both = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (both ? 2 : 1));
  }
}

}  // namespace

Result<std::string> ServerEvent::encoded() const {
  if (!one_line(name_)) return fail(Error::invalid("an event's name has no line ends"));
  if (id_ && (!one_line(*id_) || id_->find('\0') != std::string::npos)) {
    return fail(Error::invalid("an event's ID has neither line ends nor NUL"));
  }
  std::string out;
  if (!name_.empty()) append_field(out, "event", name_);
  if (id_) append_field(out, "id", *id_);
  if (retry_)
    append_field(out, "retry", std::to_string(std::max<std::int64_t>(retry_->count(), 0)));
  if (data_) append_data(out, *data_);
  out.push_back('\n');
  return out;
}

EventStream::EventStream(Exchange& exchange, EventStreamOptions options)
    : exchange_(exchange), options_(options) {
  exchange_.set_drain_listener(this);
}

EventStream::~EventStream() {
  exchange_.set_drain_listener(nullptr);
  // The response has no announced length: this is its end, not its middle.
  if (exchange_.responded() && !exchange_.finished() && !gone()) {
    const auto finished = exchange_.finish();
  }
}

std::string_view EventStream::last_event_id() const noexcept {
  return exchange_.request().fields.find("last-event-id").value_or(std::string_view());
}

Exchange::Write EventStream::start() {
  Response head(Status::ok);
  head.field("content-type", "text/event-stream");
  head.field("cache-control", "no-store");
  sent_something();
  exchange_.runtime().timers().arm(*this, last_sent_);
  return exchange_.start(std::move(head));
}

Exchange::Write EventStream::send(const ServerEvent& event) {
  Result<std::string> text = event.encoded();
  if (!text) return Exchange::Write(exchange_, std::move(text).error());
  sent_something();
  return exchange_.write(Bytes::take(std::move(*text)));
}

bool EventStream::offer(const ServerEvent& event) {
  if (gone() || exchange_.outgoing().full()) return false;
  Result<std::string> text = event.encoded();
  if (!text) return false;
  sent_something();
  const auto written = exchange_.write(Bytes::take(std::move(*text)));
  return !gone();
}

Exchange::Write EventStream::comment(std::string_view text) {
  if (!one_line(text)) {
    return Exchange::Write(exchange_, Error::invalid("a comment has no line ends"));
  }
  std::string line = ":";
  line.append(text).append("\n\n");
  sent_something();
  return exchange_.write(Bytes::take(std::move(line)));
}

void EventStream::expire(Timestamp now) {
  if (gone()) return;
  const bool beats = options_.heartbeat() > Duration::zero();
  Timestamp next = now + options_.send_timeout();
  if (exchange_.outgoing().full()) {
    if (!full_since_) full_since_ = now;
    next = *full_since_ + options_.send_timeout();
    if (next <= now) {
      exchange_.abort(Abort::too_much);
      return;
    }
  } else {
    full_since_.reset();
    if (beats && now - last_sent_ >= options_.heartbeat()) {
      const auto beat = comment({});
    }
    if (beats) next = last_sent_ + options_.heartbeat();
  }
  exchange_.runtime().timers().arm(*this, next);
}

/// Until a moment, or the client takes bytes or goes: it is the one who waits to write that is
/// told.
class EventStream::Doze final : TimerNode {
 public:
  Doze(EventStream& events, Timestamp until) noexcept
      : events_(events), exchange_(events.exchange_), until_(until) {}
  Doze(const Doze&) = delete;
  Doze& operator=(const Doze&) = delete;
  ~Doze() { leave(); }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    TERN_CHECK(exchange_.outgoing().writer == nullptr);  // one coroutine
    waiter_.suspend(handle);
    exchange_.outgoing().writer = events_.dozing_ = &waiter_;
    exchange_.runtime().timers().arm(*this, until_);
  }
  void await_resume() noexcept { leave(); }

 private:
  void expire(Timestamp) override { waiter_.wake(exchange_.runtime().ready()); }
  void leave() noexcept {
    if (events_.dozing_ == &waiter_) events_.dozing_ = nullptr;
    if (exchange_.outgoing().writer == &waiter_) exchange_.outgoing().writer = nullptr;
  }

  EventStream& events_;
  Exchange& exchange_;
  Timestamp until_;
  Waiter waiter_;
};

Task<bool> EventStream::pause(Duration time) {
  const Timestamp until = exchange_.runtime().now() + time;
  while (!gone() && !exchange_.draining() && exchange_.runtime().now() < until) {
    co_await Doze(*this, until);
  }
  co_return !gone() && !exchange_.draining();
}

void EventStream::on_drain() noexcept {
  if (dozing_ != nullptr) dozing_->wake(exchange_.runtime().ready());
}

}  // namespace tern::http
