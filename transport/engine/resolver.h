#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "transport/engine/waker.h"
#include "transport/udp/address.h"

namespace tern::engine {

using ResolveResult = Result<std::vector<udp::Address>>;
using ResolveCallback = std::function<void(ResolveResult)>;

/// IP literals, and "localhost" with everything below it (RFC 6761 §6.3), which need no asking.
/// Returns whether `host` is one.
bool resolve_without_lookup(const std::string& host, std::uint16_t port, ResolveResult& result);

/// getaddrinfo on helper threads. It blocks and cannot be cancelled, so nobody waits for the
/// threads: they share the queue, not the callbacks, and destroying the resolver forgets what is
/// under way. Threads exist while there is work. Belongs to the network's thread.
class Resolver {
 public:
  static constexpr std::size_t kMaxThreads = 4;
  /// Names asked for and not answered yet.
  static constexpr std::size_t kMaxPending = 256;

  /// `waker` is called when an answer is there.
  explicit Resolver(std::shared_ptr<Waker> waker);
  ~Resolver();

  /// An Error (Code::limit) when too many are pending; `done` is not called then.
  Result<void> start(const std::string& host, std::uint16_t port, ResolveCallback done);
  /// Calls back for the answers that have come.
  void run_callbacks();

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, ResolveCallback> callbacks_;
  std::uint64_t next_id_ = 0;
};

}  // namespace tern::engine
