#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "rpc/wire.h"

namespace tern::rpc {

/// Finds a channel's servers where they are not known before: the addresses of a name
/// (gateway/rpc_channel.h has that), or whatever else knows. Belongs to the channel, and to its
/// runtime's thread.
class ServerSource {
 public:
  virtual ~ServerSource() = default;
  virtual Runtime& runtime() noexcept = 0;
  /// The servers as they are now, each once, by names of the source's own ("192.0.2.1:443").
  /// Destroying the task gives up.
  virtual Task<tern::Result<std::vector<std::string>>> find() = 0;
  /// The way to one of them.
  virtual std::unique_ptr<Wire> wire(const std::string& server) = 0;
};

}  // namespace tern::rpc
