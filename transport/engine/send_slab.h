#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

#include "base/error.h"
#include "transport/engine/control_message.h"
#include "transport/udp/network.h"

/// Send slabs and the sends made of them, as both engines use them.

namespace tern::engine {

class SendSlab;
struct SocketState;

/// One sendmsg: a Transmit, or one datagram of a Transmit that must be segmented in user space.
/// Lives in its slab, which stays out of the pool until all its operations are done.
struct SendOperation {
  SocketState* socket = nullptr;
  SendSlab* slab = nullptr;
  const udp::Transmit* transmit = nullptr;  ///< in the slab's entries
  SendOperation* next = nullptr;            ///< in the socket's backlog
  iovec data{};
  msghdr header{};
  sockaddr_in6 mapped;  ///< the receiver as IPv4-mapped address, where the socket is IPv6
  alignas(cmsghdr) std::uint8_t control[kSendControlSize];
  int error = 0;             ///< io_uring: what its completion said
  bool retried = false;      ///< the kernel had no memory once
  bool after_split = false;  ///< its success proves that segmentation was what failed

  /// More than one datagram, to be segmented by the kernel.
  bool segmented() const noexcept { return data.iov_len > transmit->segment_size; }
};

/// A slab and its operations.
class SendSlab final : public udp::Slab {
 public:
  explicit SendSlab(std::uint8_t* data) noexcept : Slab(data), base_(data) {}

  /// Makes an operation of each entry, in order; of each datagram where the socket's device cannot
  /// segment.
  void prepare();
  std::vector<SendOperation>& operations() noexcept { return operations_; }
  /// An operation for each datagram of `whole`, in order, in its place. They live as long.
  std::vector<SendOperation>& split(const SendOperation& whole);
  /// One operation is done. True if it was the last: the slab is free.
  bool finish_one() noexcept { return --unfinished_ == 0; }
  bool finished() const noexcept { return unfinished_ == 0; }
  /// Ready for the next owner.
  void reset() noexcept;

 private:
  void make(SendOperation& operation, SocketState& socket, const udp::Transmit& transmit,
            std::uint32_t offset, std::uint32_t length, bool segmented);

  std::uint8_t* base_;
  std::vector<SendOperation> operations_;
  std::vector<std::unique_ptr<std::vector<SendOperation>>> splits_;
  std::size_t unfinished_ = 0;
};

/// What an engine knows of a socket, apart from the handle the application owns: the kernel may
/// still hold operations when the handle is gone.
struct SocketState {
  udp::Sink* sink = nullptr;      ///< null once closed
  udp::Socket* handle = nullptr;  ///< likewise
  int fd = -1;
  udp::Address local;
  bool v6 = false;
  bool wildcard = false;
  udp::Ecn default_ecn = udp::Ecn::not_ect;  ///< what goes out without a control message
  bool tells_unreachable = false;            ///< see UdpSocket
  bool paused = false;                       ///< see handed_socket.h
  bool segmentation = true;                  ///< false once a device refused UDP_SEGMENT
  std::uint32_t dropped = 0;                 ///< the kernel's count when last told

  /// Sends that wait until the socket can take them, oldest first. While there are any, new ones
  /// queue behind them.
  SendOperation* backlog_head = nullptr;
  SendOperation* backlog_tail = nullptr;

  bool blocked() const noexcept { return backlog_head != nullptr; }
  void hold(SendOperation& operation) noexcept {
    operation.next = nullptr;
    (blocked() ? backlog_tail->next : backlog_head) = &operation;
    backlog_tail = &operation;
  }
  void hold_first(SendOperation& operation) noexcept {
    operation.next = backlog_head;
    if (!blocked()) backlog_tail = &operation;
    backlog_head = &operation;
  }
  SendOperation& next_held() noexcept {
    SendOperation& first = *backlog_head;
    backlog_head = first.next;
    return first;
  }

 protected:
  ~SocketState() = default;
};

/// A fixed number of slabs in one mapping; memory is resident once touched, and the slab used last
/// is handed out first while it is warm in the cache.
class SlabPool {
 public:
  SlabPool() = default;
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  ~SlabPool();

  Result<void> open(std::size_t count);
  /// Null when all are out.
  SendSlab* acquire() noexcept;
  void release(SendSlab& slab) noexcept;
  bool exhausted() const noexcept { return free_.empty(); }

 private:
  std::uint8_t* memory_ = nullptr;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<SendSlab>> slabs_;
  std::vector<SendSlab*> free_;
};

}  // namespace tern::engine
