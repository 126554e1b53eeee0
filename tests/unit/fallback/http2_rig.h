#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "http/fallback/context.h"
#include "http/fallback/http2_code.h"
#include "tests/unit/fallback/hand_stream.h"
#include "tests/unit/fallback/http2_frames.h"
#include "tests/unit/sanitizers.h"
#include "transport/sim/world.h"

/// HTTP/2 by hand: a session of ours on a stream that the test holds the other end of.

namespace tern::fallback::testing {

using namespace std::chrono_literals;

/// From one place where a rule's bytes are cut to the next. With the sanitizers it is each fourth:
/// each rule's bytes come one by one as well.
inline constexpr std::size_t kCutStride = test::kSanitized ? 4 : 1;

/// Collects a runtime's log.
class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { all.emplace_back(text); }
  std::vector<std::string> all;
};

/// What follows `begin` in the last line of the log that has it; empty: none.
inline std::string logged(const Lines& log, std::string_view begin) {
  for (auto line = log.all.rbegin(); line != log.all.rend(); ++line) {
    const std::size_t at = line->find(begin);
    if (at != std::string::npos) return line->substr(at + begin.size());
  }
  return {};
}

/// One session of ours; the test is its peer.
class Http2Rig {
 public:
  /// A server with that handler.
  explicit Http2Rig(http::Handler handler, SessionOptions options = {},
                    http::ConnectionAge age = {})
      : Http2Rig() {
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    hooks.age = age;
    context.emplace(runtime(), std::move(options), std::move(hooks));
    more();
  }
  /// A client.
  explicit Http2Rig(SessionOptions options) : Http2Rig() {
    context.emplace(runtime(), std::move(options));
    wires.push_back(std::make_shared<Wire>());
    ClientHooks hooks;
    hooks.goaway = [this] { ++goaways; };
    hooks.closed = [this](const Error& error) {
      closed = error;
      session = nullptr;
    };
    session = &context->connect(std::make_unique<HandStream>(wires.back()), Protocol::http2, hooks);
    world.run_for(1ms);
  }
  ~Http2Rig() { context.reset(); }

  Runtime& runtime() { return world.host("here").runtime(); }
  Wire& wire() { return *wires.back(); }
  /// Another connection to the server.
  void more() {
    wires.push_back(std::make_shared<Wire>());
    session = &context->accept(std::make_unique<HandStream>(wires.back()), Protocol::http2);
    world.run_for(1ms);
  }

  /// The session gets these bytes, in pieces of `piece`, and answers.
  void feed(std::string bytes, std::size_t piece = SIZE_MAX) {
    feed(wire(), std::move(bytes), piece);
  }
  void feed(Wire& to, std::string bytes, std::size_t piece = SIZE_MAX) {
    for (std::size_t at = 0; at < bytes.size() && to.sink != nullptr;
         at += std::min(piece, bytes.size())) {
      std::string part = bytes.substr(at, piece);
      to.sink->receive(*to.stream,
                       MutableBytes(reinterpret_cast<std::uint8_t*>(part.data()), part.size()));
    }
    world.run_for(1ms);
  }
  void feed_end() {
    if (wire().sink != nullptr) wire().sink->end_of_stream(*wire().stream);
    world.run_for(1ms);
  }
  /// What the session has sent since the last call.
  std::vector<Frame> frames() { return frames(wire()); }
  std::vector<Frame> frames(Wire& from) {
    std::string bytes = std::exchange(from.sent, std::string());
    if (bytes.starts_with(kHttp2Preface)) bytes.erase(0, kHttp2Preface.size());
    return parse(bytes);
  }
  std::uint64_t count(std::string_view name) { return runtime().counters().at(name).value(); }

  Lines log;
  std::vector<std::shared_ptr<Wire>> wires;
  sim::World world{1};
  std::optional<Context> context;
  Session* session = nullptr;
  std::optional<Error> closed;
  int goaways = 0;

 private:
  Http2Rig() { runtime().log_to(log); }
};

/// The first frame of that type.
inline const Frame* find(const std::vector<Frame>& all, std::uint8_t type) {
  for (const Frame& one : all) {
    if (one.type == type) return &one;
  }
  return nullptr;
}
inline std::size_t count_of(const std::vector<Frame>& all, std::uint8_t type) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const Frame& one) { return one.type == type; }));
}

}  // namespace tern::fallback::testing
