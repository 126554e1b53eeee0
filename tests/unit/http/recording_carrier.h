#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "http/exchange.h"

/// Runs handlers without a protocol: a driver in virtual time without a network, and a carrier that
/// writes down what it is told.

namespace tern::http::test {

class VirtualDriver final : public Driver {
 public:
  Timestamp now() override { return now_; }
  UnixSeconds unix_seconds() override {
    return start_ + (now_ - Timestamp()) / std::chrono::seconds(1);
  }
  Random::Key random_key() override { return {}; }
  Duration wait(Timestamp deadline) override {
    if (deadline == kNever) {
      std::fputs("every task waits and no timer is armed\n", stderr);
      std::abort();
    }
    if (deadline > now_) now_ = deadline;
    return {};
  }
  void reap(Timestamp) override {}
  void wake() noexcept override {}

  void advance(Duration duration) { now_ += duration; }

 private:
  Timestamp now_ = Timestamp() + std::chrono::seconds(1000);
  UnixSeconds start_ = 784111777 - 1000;  // the first request: Sun, 06 Nov 1994 08:49:37 GMT
};

class RecordingCarrier final : public Carrier {
 public:
  std::string_view protocol() const noexcept override { return "h3"; }
  udp::Path path() const noexcept override {
    udp::Path path;
    path.remote = udp::Address::v4(0xc0000201, 4000);
    return path;
  }
  bool early_data() const noexcept override { return early; }
  void send_request(const RequestHead& head, bool end) override {
    request = head;
    ended = end;
  }
  void send_response(Status sent, Fields lines, bool end) override {
    if (code(sent) < 200) {
      interim.push_back(code(sent));
      return;
    }
    status = code(sent);
    fields = std::move(lines);
    ended = end;
  }
  void send_body(Bytes bytes, bool end) override {
    if (ended) broken = "body after the end";
    body.append(bytes.text());
    pieces.push_back(bytes.size());
    if (hold) queued += bytes.size();
    ended = end;
  }
  void send_trailers(const Fields& lines) override {
    if (ended) broken = "trailers after the end";
    trailers = lines;
    ended = true;
  }
  std::size_t unsent() const noexcept override { return queued; }
  void consumed(std::size_t count) override { credited += count; }
  void abort(Abort why) override { aborted = why; }
  void stop_reading(Abort why) override { stopped = why; }
  void set_priority(Priority wanted) override { priority = wanted; }
  bool send_datagram(ByteView payload) override {
    datagrams.emplace_back(as_text(payload));
    return true;
  }
  std::size_t max_datagram() const noexcept override { return 1200; }
  void detach() noexcept override { detached = true; }

  std::string_view field(std::string_view name) const {
    return fields.find(name).value_or("(none)");
  }

  bool early = false;
  bool hold = false;  // what is sent stays queued until the test says otherwise
  std::size_t queued = 0;

  std::optional<RequestHead> request;
  std::vector<int> interim;
  int status = 0;
  Fields fields;
  std::string body;
  std::vector<std::size_t> pieces;
  std::optional<Fields> trailers;
  bool ended = false;
  std::size_t credited = 0;
  std::optional<Abort> aborted;
  std::optional<Abort> stopped;
  std::optional<Priority> priority;
  std::vector<std::string> datagrams;
  bool detached = false;
  std::string broken;  // what the exchange did that no carrier can bear
};

/// Keeps what is logged.
class KeptLog final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

/// A runtime in virtual time with its log.
struct World {
  World() { runtime.log_to(log); }
  VirtualDriver driver;
  Runtime runtime{driver};
  KeptLog log;

  void run(Task<void> task) { runtime.block_on(std::move(task)); }
};

inline RequestHead request(std::string_view method, std::string_view path) {
  RequestHead head;
  head.method = method;
  head.authority = "example.org";
  head.path = path;
  return head;
}
inline RequestHead get(std::string_view path) { return request("GET", path); }
inline RequestHead with(RequestHead head, std::string_view name, std::string_view value) {
  head.fields.add(name, value);
  return head;
}

/// Runs `handler` for one request whose body is all there, to the end.
inline std::unique_ptr<RecordingCarrier> answer(World& world, const Handler& handler,
                                                RequestHead head, std::string_view body = {}) {
  auto carrier = std::make_unique<RecordingCarrier>();
  auto exchange = std::make_unique<Exchange>(world.runtime, *carrier, std::move(head));
  exchange->incoming().push(Bytes::copy(body));
  exchange->incoming().finish();
  world.run(serve(handler, std::move(exchange), nullptr));
  return carrier;
}

}  // namespace tern::http::test
