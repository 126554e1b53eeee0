#pragma once

#include <cstdint>
#include <string>

#include "tools/tern/socket_client.h"

namespace tern::cli {

/// The flags of `tern wt`.
struct WtOptions : SocketOptions {
  bool uni = false;
  bool datagrams = false;
  std::uint32_t close_code = 0;
  std::string close_reason;
};

}  // namespace tern::cli
