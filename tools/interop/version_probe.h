#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "transport/udp/network.h"

namespace tern::interop {

/// A server's answer to a version that nobody speaks.
struct VersionAnswer {
  std::vector<std::uint32_t> versions;
  std::uint32_t asked = 0;
  unsigned datagrams_sent = 0;
  Duration time{};
};

/// Sends a datagram of 1200 bytes that begins like an Initial of a reserved version (RFC 9000 §15),
/// at most three times in three seconds, and waits for a Version Negotiation packet (§17.2.1) for
/// it. Without a connection: nothing that a server would keep. Error invalid says what is wrong
/// with the answer, Domain::os that nobody listens; it waits for ever where nothing answers.
Task<Result<VersionAnswer>> probe_versions(Runtime& runtime, udp::Network& network,
                                           udp::Address remote);

}  // namespace tern::interop
