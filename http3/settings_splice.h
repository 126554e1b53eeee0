#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/quic/event.h"

namespace tern::http3 {

/// Puts our own SETTINGS in place of those that nghttp3 writes at the beginning of its control
/// stream, because it can send only the identifiers it knows. nghttp3 goes on counting its own
/// bytes, so the numbers of bytes sent and acknowledged are translated.
class SettingsSplice {
 public:
  /// `own`: the stream's type and the SETTINGS frame. Forgets what was sent before.
  void begin(std::vector<std::uint8_t> own) noexcept;

  /// Rewrites what nghttp3 wants to send on its control stream, `count` of the `capacity` `vecs`;
  /// returns the new count.
  std::size_t rewrite(quic::Vec* vecs, std::size_t count, std::size_t capacity) noexcept;
  /// `count` bytes of the stream were sent (acknowledged): how many are to be told to nghttp3.
  std::size_t sent(std::size_t count) noexcept { return translate(count, sent_); }
  std::size_t acked(std::size_t count) noexcept { return translate(count, acked_); }

 private:
  std::size_t translate(std::size_t count, std::size_t& position) const noexcept;

  std::vector<std::uint8_t> own_;  // kept: it may have to be sent again
  std::size_t theirs_ = 0;         // bytes of nghttp3 that it replaces; 0 until they are seen
  std::size_t sent_ = 0;           // of own_
  std::size_t acked_ = 0;          // of own_
};

}  // namespace tern::http3
