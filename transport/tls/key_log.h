#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

/// The TLS secrets of connections in NSS key log format (SSLKEYLOGFILE), for Wireshark.

namespace tern::tls {

/// Whoever reads this log can decrypt the connections: it exists only where the user asks for it.
/// May be shared by contexts and threads.
class KeyLog {
 public:
  /// Appends to `path`, created with mode 0600. Each line is one write(2) with O_APPEND, so several
  /// threads and processes may share a file.
  static Result<std::shared_ptr<KeyLog>> open(const std::string& path);
  /// Lines without a newline go to `sink`, which is called on the connections' threads.
  static std::shared_ptr<KeyLog> to(std::function<void(std::string_view line)> sink);

  virtual ~KeyLog() = default;
  /// One line, without its newline. A full disk loses lines, nothing else.
  virtual void write(std::string_view line) noexcept = 0;
};

}  // namespace tern::tls
