#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "transport/tcp/network.h"

/// A byte stream whose other end the test holds.

namespace tern::fallback::testing {

/// What a session's stream and the test share: it outlives either.
struct Wire {
  std::string sent;      ///< by the session
  std::size_t held = 0;  ///< of it, what TCP does not take
  bool hold = false;     ///< TCP takes nothing more
  bool finished = false;
  bool reset = false;
  bool gone = false;
  bool paused = false;
  bool secure = false;  ///< by a TLS that gives no keying material
  tcp::StreamSink* sink = nullptr;
  tcp::Stream* stream = nullptr;
};

class HandStream final : public tcp::Stream {
 public:
  explicit HandStream(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) { wire_->stream = this; }
  ~HandStream() override {
    wire_->gone = true;
    wire_->stream = nullptr;
    wire_->sink = nullptr;
  }
  const udp::Address& local() const noexcept override { return local_; }
  const udp::Address& remote() const noexcept override { return remote_; }
  bool secure() const noexcept override { return wire_->secure; }
  void attach(tcp::StreamSink& sink) override { wire_->sink = &sink; }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override {
    wire_->sent += bytes.text();
    if (wire_->hold) wire_->held += bytes.size();
    return {};
  }
  std::size_t queued() const noexcept override { return wire_->held; }
  std::size_t low_water() const noexcept override { return 64 * 1024; }
  void finish() override { wire_->finished = true; }
  void reset() override { wire_->reset = true; }
  void pause() override { wire_->paused = true; }
  void resume() override { wire_->paused = false; }
  bool paused() const noexcept override { return wire_->paused; }
  tcp::StreamInfo info() const override {
    tcp::StreamInfo info;
    info.rtt = std::chrono::milliseconds(10);
    return info;
  }

 private:
  std::shared_ptr<Wire> wire_;
  udp::Address local_ = udp::Address::v4(0x0a000001, 443);
  udp::Address remote_ = udp::Address::v4(0x0a000002, 4711);
};

}  // namespace tern::fallback::testing
