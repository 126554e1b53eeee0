#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/scope.h"
#include "base/task.h"
#include "base/time.h"
#include "rpc/channel.h"
#include "rpc/client_context.h"
#include "rpc/server_source.h"
#include "rpc/status.h"
#include "rpc/wire.h"

/// The servers of a channel: which there are, how they do, and whose turn it is. Private to the
/// room.

namespace tern::rpc {

/// One of them; calls under way keep it.
struct ChannelServer {
  explicit ChannelServer(Runtime& runtime) noexcept : watch(runtime.ready()) {}

  std::string name;
  std::unique_ptr<Wire> wire;
  std::uint64_t calls = 0;
  std::size_t outstanding = 0;
  unsigned failures = 0;  // in a row, to reach it
  Timestamp paused_until{};
  /// What its watch has said last; nothing yet.
  std::optional<bool> healthy;
  /// What its watch calls it by.
  std::unique_ptr<Channel> watched_by;
  Scope watch;  // last: what runs in it uses all of the above
};

class ChannelServers {
 public:
  /// Options and runtime outlive it.
  ChannelServers(Runtime& runtime, const ChannelOptions& options,
                 std::vector<std::unique_ptr<Wire>> wires);
  ChannelServers(const ChannelOptions& options, std::unique_ptr<ServerSource> source);
  ChannelServers(const ChannelServers&) = delete;
  ChannelServers& operator=(const ChannelServers&) = delete;
  ~ChannelServers();

  std::size_t size() const noexcept { return servers_.size(); }
  const std::vector<std::shared_ptr<ChannelServer>>& all() const noexcept { return servers_; }

  /// Where there are none yet: waits for what the source says, as long as the call does.
  Task<Status> found(ClientContext& context);
  /// Whose turn it is. UNAVAILABLE: none of them is healthy.
  Result<std::shared_ptr<ChannelServer>> pick();
  void reached(ChannelServer& server) noexcept { server.failures = 0; }
  /// It is passed over for a while, and the source is asked anew.
  void unreachable(ChannelServer& server);

 private:
  class Waiting;

  std::optional<std::size_t> best(std::optional<bool> healthy) const;
  void add(std::string name, std::unique_ptr<Wire> wire);
  void watch(ChannelServer& server);
  void look_again();
  Task<void> look();
  void take(const std::vector<std::string>& names);

  Runtime& runtime_;
  const ChannelOptions& options_;
  std::unique_ptr<ServerSource> source_;
  std::vector<std::shared_ptr<ChannelServer>> servers_;
  std::size_t next_ = 0;
  std::vector<Waiting*> waiting_;
  bool looking_ = false;
  Timestamp may_look_{};
  Scope scope_;  // last: what runs in it uses all of the above
};

}  // namespace tern::rpc
