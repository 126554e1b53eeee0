#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "transport/engine/control_message.h"
#include "transport/udp/address.h"

namespace tern::engine {

/// What recvmmsg fills: a fixed number of messages, each with room for all that GRO puts together.
/// Set up once; memory is resident once something came there.
class ReceiveSlots {
 public:
  static constexpr std::size_t kPayloadSize = 64 * 1024;

  /// One message, as the kernel left it.
  struct Message {
    udp::Address remote;
    ReceivedControl control;
    MutableBytes bytes;
    bool whole;  ///< false: it was longer than any datagram may be
  };

  static Result<std::unique_ptr<ReceiveSlots>> open(std::size_t count);
  ReceiveSlots(const ReceiveSlots&) = delete;
  ReceiveSlots& operator=(const ReceiveSlots&) = delete;
  ~ReceiveSlots();

  std::size_t size() const noexcept { return messages_.size(); }
  /// Takes at most `most` messages of a socket, without waiting, into the slots from `first` on.
  /// How many; -1 where the call fails, with errno.
  int receive(int fd, std::size_t first, std::size_t most) noexcept;
  /// What is in a slot, which is ready to be filled again: good until then. Every message that was
  /// received is to be taken.
  Message take(std::size_t index) noexcept;

 private:
  struct Slot {
    sockaddr_in6 name;
    iovec data;
    alignas(cmsghdr) std::uint8_t control[kReceiveControlSize];
  };
  ReceiveSlots() = default;

  void* memory_ = nullptr;
  std::size_t memory_size_ = 0;
  std::vector<Slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace tern::engine
