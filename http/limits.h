#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace tern::http {

/// Every bound that protects an HTTP server or client from its peer, with its default. One struct
/// for all protocols; a session takes from it what its protocol knows. Fluent; immutable once a
/// server runs.
class Limits {
 public:
  /// A header or trailer section, counted as RFC 9114 §4.2.2 does. 64 KiB. Beyond it: 431.
  std::size_t header_section() const noexcept { return header_section_; }
  Limits& header_section(std::size_t bytes) noexcept { return set(header_section_, bytes); }

  /// Field lines in one section. 256.
  std::size_t header_lines() const noexcept { return header_lines_; }
  Limits& header_lines(std::size_t count) noexcept { return set(header_lines_, count); }

  /// Requests in progress on one connection. 256.
  std::uint64_t streams() const noexcept { return streams_; }
  Limits& streams(std::uint64_t count) noexcept { return set(streams_, count); }

  /// Requests a peer may reset before they are answered, beyond those it lets finish, before its
  /// connection is closed (H3_EXCESSIVE_LOAD, ENHANCE_YOUR_CALM). 1000.
  std::uint64_t resets() const noexcept { return resets_; }
  Limits& resets(std::uint64_t count) noexcept { return set(resets_, count); }

  /// A body read whole (`read_all`). 128 MiB. Streamed bodies have no limit of their own.
  std::size_t buffered_body() const noexcept { return buffered_body_; }
  Limits& buffered_body(std::size_t bytes) noexcept { return set(buffered_body_, bytes); }

  /// Body bytes a stream may have under way or unread: its flow control window. 1 MiB.
  std::size_t stream_window() const noexcept { return stream_window_; }
  Limits& stream_window(std::size_t bytes) noexcept { return set(stream_window_, bytes); }

  /// The same for a connection. 16 MiB.
  std::size_t connection_window() const noexcept { return connection_window_; }
  Limits& connection_window(std::size_t bytes) noexcept { return set(connection_window_, bytes); }

  /// A connection without traffic is closed after it. 30 s.
  Duration idle() const noexcept { return idle_; }
  Limits& idle(Duration duration) noexcept { return set(idle_, duration); }

  /// A handshake takes no longer. 10 s.
  Duration handshake() const noexcept { return handshake_; }
  Limits& handshake(Duration duration) noexcept { return set(handshake_, duration); }

  /// The head of a request is complete this long after its stream was opened. 10 s.
  Duration head() const noexcept { return head_; }
  Limits& head(Duration duration) noexcept { return set(head_, duration); }

  /// Requests in progress may take this long to end when the server drains. 10 s.
  Duration drain() const noexcept { return drain_; }
  Limits& drain(Duration duration) noexcept { return set(drain_, duration); }

 private:
  template <typename T>
  Limits& set(T& member, T value) noexcept {
    member = value;
    return *this;
  }

  std::size_t header_section_ = 64 * 1024;
  std::size_t header_lines_ = 256;
  std::uint64_t streams_ = 256;
  std::uint64_t resets_ = 1000;
  std::size_t buffered_body_ = 128 * 1024 * 1024;
  std::size_t stream_window_ = 1024 * 1024;
  std::size_t connection_window_ = 16 * 1024 * 1024;
  Duration idle_ = std::chrono::seconds(30);
  Duration handshake_ = std::chrono::seconds(10);
  Duration head_ = std::chrono::seconds(10);
  Duration drain_ = std::chrono::seconds(10);
};

}  // namespace tern::http
