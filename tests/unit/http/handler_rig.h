#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "base/scope.h"
#include "tests/unit/http/recording_carrier.h"

namespace tern::http::test {

/// A server's handler at work on one request, without a protocol, in virtual time.
class HandlerRig {
 public:
  HandlerRig(Handler handler, RequestHead head)
      : handler_(std::move(handler)), done_([this](const Exchange&) { exchange_ = nullptr; }) {
    auto exchange = std::make_unique<Exchange>(world.runtime, carrier, std::move(head));
    exchange_ = exchange.get();
    scope_.spawn(serve(&handler_, std::move(exchange), &done_));
    settle();
  }

  /// Until nothing is left to do now.
  void settle() {
    while (world.runtime.next_deadline() <= world.driver.now()) world.runtime.turn();
  }
  void pass(Duration time) {
    const Timestamp until = world.driver.now() + time;
    while (world.runtime.next_deadline() <= until) world.runtime.turn();
    world.driver.advance(until - world.driver.now());
    settle();
  }
  /// The next bytes of the request's body.
  void push(std::string_view bytes) {
    ASSERT_NE(exchange_, nullptr) << "the handler has returned";
    exchange_->incoming().push(Bytes::copy(bytes));
    settle();
  }
  /// The request's end, if the handler still wants to know.
  void finish() {
    if (exchange_ == nullptr) return;
    exchange_->incoming().finish();
    settle();
  }
  /// What was sent since the last call.
  std::string sent() { return std::exchange(carrier.body, {}); }
  bool returned() const { return exchange_ == nullptr; }
  Exchange& exchange() { return *exchange_; }

  World world;
  RecordingCarrier carrier;

 private:
  Handler handler_;
  std::function<void(const Exchange&)> done_;
  Exchange* exchange_ = nullptr;
  Scope scope_{world.runtime.ready()};
};

}  // namespace tern::http::test
