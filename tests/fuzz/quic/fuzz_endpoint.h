#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "transport/quic/endpoint.h"
#include "transport/tls/development.h"

/// A server endpoint that takes whatever it is fed; the same for every input.

namespace tern::quic::fuzz {

inline constexpr UnixSeconds kNow = 1'790'000'000;

class FuzzEndpoint {
 public:
  explicit FuzzEndpoint(RetryPolicy retry) : random_(1) {
    EndpointOptions options;
    options.server_context = context();
    static const auto keys = [] {
      Random random(5);
      return std::make_shared<tls::KeyRing>(random, kNow);
    }();
    options.token_keys = keys;
    Random random(6);
    options.reset_key = std::make_shared<StatelessResetKey>(random);
    options.retry = retry;
    endpoint_ = *Endpoint::create(std::move(options), timers_, random_, counters_, null_log());
  }

  void feed(ByteView datagram) {
    if (datagram.empty()) return;
    // A copy of exact size, so that AddressSanitizer sees reads past its end.
    std::vector<std::uint8_t> copy(datagram.begin(), datagram.end());
    udp::Arrival arrival;
    arrival.path = {udp::Address::v4(0x0a000001, 4433), udp::Address::v4(0x0a000002, 50000)};
    arrival.ecn = udp::Ecn::ect0;
    arrival.bytes = copy;
    arrival.segment_size = copy.size();
    endpoint_->receive(arrival, now_, kNow);
    settle();
  }

  /// Lets a second pass, so that timers and loss recovery run.
  void wait() {
    now_ += std::chrono::seconds(1);
    timers_.expire(now_);
    settle();
  }

 private:
  static std::shared_ptr<const tls::ServerContext> context() {
    static const auto made = [] {
      const tls::Identity authority = *tls::make_authority(tls::DevelopmentOptions(kNow).days(99));
      const tls::Identity leaf = *tls::make_leaf(authority, tls::DevelopmentOptions(kNow));
      return *tls::ServerContext::create(tls::ServerContextOptions().alpn({"h3"}).certificate(
          *tls::Certificate::parse(leaf.certificate, leaf.key)));
    }();
    return made;
  }

  void settle() {
    Event event;
    while (endpoint_->next_event(event)) {
    }
    bool more = true;
    while (more) {
      std::size_t used = 0;
      transmits_.clear();
      more = endpoint_->fill(space_, used, transmits_, now_);
      while (endpoint_->next_event(event)) {
      }
    }
  }

  Timestamp now_{std::chrono::seconds(1)};
  TimerHeap timers_;
  Random random_;
  Counters counters_;
  std::vector<std::uint8_t> space_ = std::vector<std::uint8_t>(udp::Slab::kSize);
  std::vector<udp::Transmit> transmits_;
  std::unique_ptr<Endpoint> endpoint_;
};

}  // namespace tern::quic::fuzz
