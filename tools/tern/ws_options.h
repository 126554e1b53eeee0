#pragma once

#include <optional>

#include "base/time.h"
#include "tools/tern/socket_client.h"

namespace tern::cli {

/// The flags of `tern ws`.
struct WsOptions : SocketOptions {
  bool no_compression = false;
  std::optional<Duration> ping;
};

}  // namespace tern::cli
