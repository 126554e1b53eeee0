#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/time.h"

namespace tern::webtransport {

/// Limits and times of a session, the same on both ends. Fluent; the defaults are meant to be left
/// alone.
class SessionOptions {
 public:
  /// Bytes that the peer may send on all streams together and the application has not read yet.
  /// Default 1 MiB. (Capsule carriers; over HTTP/3 it is 512 KiB and grows to 16 MiB with an
  /// application that keeps up, and QUIC's windows hold as well.)
  SessionOptions& receive_window(std::uint64_t bytes) & { return receive_window_ = bytes, *this; }
  SessionOptions&& receive_window(std::uint64_t bytes) && {
    return std::move(receive_window(bytes));
  }
  /// The same for one stream. Default 256 KiB.
  SessionOptions& stream_window(std::uint64_t bytes) & { return stream_window_ = bytes, *this; }
  SessionOptions&& stream_window(std::uint64_t bytes) && { return std::move(stream_window(bytes)); }
  /// Streams of each kind that the peer may have open. Default 100.
  SessionOptions& max_streams(std::uint64_t count) & { return max_streams_ = count, *this; }
  SessionOptions&& max_streams(std::uint64_t count) && { return std::move(max_streams(count)); }
  /// Datagrams of ours that wait to be sent; one more is refused. Default 128.
  SessionOptions& max_waiting_datagrams(std::size_t count) & {
    return max_waiting_datagrams_ = count, *this;
  }
  SessionOptions&& max_waiting_datagrams(std::size_t count) && {
    return std::move(max_waiting_datagrams(count));
  }
  /// A datagram that has waited so long is dropped instead of sent. Default 1 s.
  SessionOptions& datagram_lifetime(Duration time) & { return datagram_lifetime_ = time, *this; }
  SessionOptions&& datagram_lifetime(Duration time) && {
    return std::move(datagram_lifetime(time));
  }
  /// Largest datagram over HTTP/2 and WebSocket; a longer one of the peer's is dropped. Default
  /// 16 KiB.
  SessionOptions& max_datagram(std::size_t bytes) & { return max_datagram_ = bytes, *this; }
  SessionOptions&& max_datagram(std::size_t bytes) && { return std::move(max_datagram(bytes)); }
  /// How long the peer's end is waited for after ours. Default 5 s.
  SessionOptions& close_timeout(Duration time) & { return close_timeout_ = time, *this; }
  SessionOptions&& close_timeout(Duration time) && { return std::move(close_timeout(time)); }

  std::uint64_t receive_window() const noexcept { return receive_window_; }
  std::uint64_t stream_window() const noexcept { return stream_window_; }
  std::uint64_t max_streams() const noexcept { return max_streams_; }
  std::size_t max_waiting_datagrams() const noexcept { return max_waiting_datagrams_; }
  Duration datagram_lifetime() const noexcept { return datagram_lifetime_; }
  std::size_t max_datagram() const noexcept { return max_datagram_; }
  Duration close_timeout() const noexcept { return close_timeout_; }

 private:
  std::uint64_t receive_window_ = 1024 * 1024;
  std::uint64_t stream_window_ = 256 * 1024;
  std::uint64_t max_streams_ = 100;
  std::size_t max_waiting_datagrams_ = 128;
  Duration datagram_lifetime_ = std::chrono::seconds(1);
  std::size_t max_datagram_ = 16 * 1024;
  Duration close_timeout_ = std::chrono::seconds(5);
};

}  // namespace tern::webtransport
