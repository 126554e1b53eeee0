#include "transport/sim/tcp_congestion.h"

#include <algorithm>
#include <cmath>

namespace tern::sim {

namespace {

constexpr double kCubic = 0.4;      // C
constexpr double kCubicBeta = 0.7;  // RFC 9438 §4.6
constexpr double kRenoBeta = 0.5;
constexpr unsigned kHyStartSamples = 8;
constexpr double kHyStartWindow = 16;
constexpr Duration kHyStartLeast = std::chrono::milliseconds(4);
constexpr Duration kHyStartMost = std::chrono::milliseconds(16);

double seconds(Duration duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void TcpCongestion::rtt_sample(Duration rtt, Duration min_rtt, bool new_round) noexcept {
  if (new_round) {
    round_min_ = Duration::max();
    round_samples_ = 0;
  }
  if (!in_slow_start() || window_ < kHyStartWindow * mss_) return;
  if (round_samples_ >= kHyStartSamples) return;
  round_min_ = std::min(round_min_, rtt);
  if (++round_samples_ < kHyStartSamples) return;
  const Duration rise = std::clamp(min_rtt / 8, kHyStartLeast, kHyStartMost);
  if (round_min_ >= min_rtt + rise) threshold_ = window();
}

void TcpCongestion::acknowledged(std::uint64_t bytes, Duration rtt, Timestamp now) noexcept {
  auto left = static_cast<double>(bytes);
  if (in_slow_start()) {
    const double room = static_cast<double>(threshold_) - window_;
    const double grown = std::min(left, room);
    window_ += grown;
    left -= grown;
  }
  if (left <= 0) return;
  if (algorithm_ == TcpAlgorithm::reno) {
    window_ += mss_ * left / window_;
  } else {
    cubic(left / mss_, rtt, now);
  }
}

void TcpCongestion::cubic(double acknowledged, Duration rtt, Timestamp now) noexcept {
  double window = window_ / mss_;
  if (epoch_ == kNever) {
    epoch_ = now;
    estimate_ = window;
    if (window < most_) {
      k_ = std::cbrt((most_ - window) / kCubic);
      origin_ = most_;
    } else {
      k_ = 0;
      origin_ = window;
    }
  }
  const double time = seconds(now - epoch_);
  const auto at = [&](double t) { return origin_ + kCubic * std::pow(t - k_, 3); };
  // The rate of Reno with this beta, until it passes the old maximum (RFC 9438 §4.3).
  const double alpha = estimate_ >= most_ ? 1.0 : 3.0 * (1.0 - kCubicBeta) / (1.0 + kCubicBeta);
  estimate_ += alpha * acknowledged / window;
  if (at(time) < estimate_) {
    window = std::max(window, estimate_);
  } else {
    const double target = std::clamp(at(time + seconds(rtt)), window, 1.5 * window);
    window += (target - window) / window * acknowledged;
  }
  window_ = window * mss_;
}

void TcpCongestion::reduce() noexcept {
  window_before_ = window_;
  threshold_before_ = threshold_;
  const double window = window_ / mss_;
  double beta = kRenoBeta;
  if (algorithm_ == TcpAlgorithm::cubic) {
    beta = kCubicBeta;
    // Fast convergence: leave room for those who came later (RFC 9438 §4.7).
    most_ = window < most_ ? window * (1.0 + kCubicBeta) / 2.0 : window;
    epoch_ = kNever;
  }
  threshold_ = static_cast<std::uint64_t>(std::max(window * beta, 2.0) * mss_);
}

void TcpCongestion::timeout(bool first) noexcept {
  if (first) reduce();
  window_ = mss_;
}

void TcpCongestion::undo() noexcept {
  if (window_before_ <= 0) return;
  window_ = std::max(window_, window_before_);
  threshold_ = std::max(threshold_, threshold_before_);
  window_before_ = 0;
  epoch_ = kNever;
}

void TcpCongestion::idle(std::uint64_t timeouts, Duration length) noexcept {
  const double least = mss_ * kInitialSegments;
  // What was known of the path is not forgotten: three quarters of it are where slow start ends.
  if (threshold_ != kNoThreshold) {
    threshold_ = std::max(threshold_, static_cast<std::uint64_t>(window_ * 0.75));
  }
  for (; timeouts > 0 && window_ > least; --timeouts) window_ = std::max(window_ / 2, least);
  if (epoch_ != kNever) epoch_ += length;  // it was not time to grow in
}

void TcpCongestion::set(std::uint64_t bytes) noexcept {
  window_ = std::max(static_cast<double>(bytes), mss_);
}

}  // namespace tern::sim
