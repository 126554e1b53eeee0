#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>

#include "base/time.h"

namespace tern::cli {

/// What a process has used so far. From /proc, so for processes this user may look at.
struct ProcessUse {
  Duration cpu{};  ///< of all its threads, the kernel's part for them included
  std::uint64_t resident_bytes = 0;
};

/// Nothing if there is no such process.
std::optional<ProcessUse> process_use(pid_t pid);

enum class PortKind : std::uint8_t {
  udp,
  tcp,  ///< one that is listened on
};

/// The process that has a socket on this local port, the one with the lowest PID if there are
/// several; nothing if there is none, or it is another user's.
std::optional<pid_t> owner_of_port(PortKind kind, std::uint16_t port);

}  // namespace tern::cli
