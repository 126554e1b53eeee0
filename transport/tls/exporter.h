#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

/// Keying material for applications out of a TLS connection (RFC 8446 §7.5).

namespace tern::tls {

/// Of one TLS 1.3 connection. It outlives BoringSSL's state, which is freed once the handshake is
/// complete: that is why it is ours. Wiped when it goes. Internal to transport.
class Exporter {
 public:
  /// What RFC 8446 has room for in front of "tls13 ".
  static constexpr std::size_t kMaxLabel = 249;
  /// The longest output, whatever the hash: 255 of SHA-256's (RFC 5869 §2.3).
  static constexpr std::size_t kMaxOutput = 255 * 32;

  Exporter() noexcept = default;
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  /// A line of BoringSSL's key log: the one of the exporter's secret is kept.
  void read_key_log(std::string_view line) noexcept;
  /// The handshake has come so far, and it is TLS 1.3's.
  bool known() const noexcept { return size_ > 0; }

  /// Fills `out`. Error invalid: the label is empty or too long, or `out` is empty or too large.
  Result<void> derive(std::string_view label, ByteView context, MutableBytes out) const;
  /// What is wrong with these arguments, whoever derives.
  static Result<void> check(std::string_view label, MutableBytes out);

 private:
  std::array<std::uint8_t, 48> secret_{};  // SHA-384's at most
  std::uint8_t size_ = 0;
};

}  // namespace tern::tls
