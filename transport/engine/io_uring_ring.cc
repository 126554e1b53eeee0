#include "transport/engine/io_uring_ring.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.h"
#include "transport/engine/engine.h"

namespace tern::engine {

namespace {

tl::unexpected<Error> unsupported(std::string reason) {
  return fail(Error(Code::unsupported, std::move(reason)));
}

std::string error_text(int error) { return Error::os(error, "").detail.substr(2); }

std::string kernel_setting(const char* path) {
  std::ifstream file(path);
  std::string value;
  file >> value;
  return value;
}

/// Why io_uring_setup said no.
std::string setup_failure(int error) {
  const std::string setting = kernel_setting("/proc/sys/kernel/io_uring_disabled");
  switch (error) {
    case ENOSYS: return "this kernel has no io_uring, or a sandbox hides it";
    case EPERM:
    case EACCES:
      if (setting == "2" || (setting == "1" && ::geteuid() != 0)) {
        return fmt::format("kernel.io_uring_disabled={}", setting);
      }
      return "a seccomp filter or security module forbids it";
    case EINVAL: return fmt::format("kernel {} is older than 6.1", kernel_release());
    case ENOMEM: return "not enough memory may be locked: see ulimit -l";
    default: return fmt::format("io_uring_setup: {}", error_text(error));
  }
}

}  // namespace

Result<std::unique_ptr<IoUringRing>> IoUringRing::open(std::size_t buffers) {
  std::unique_ptr<IoUringRing> ring(new IoUringRing);
  if (auto ready = ring->open_ring(); !ready) return fail(std::move(ready).error());
  if (auto ready = ring->check_operations(); !ready) return fail(std::move(ready).error());
  const ProvidedBuffers::Shape shape{kBufferGroup, buffers, kBufferSize, kFewBuffers};
  if (auto ready = ring->buffers_.open(ring->ring_, shape); !ready) {
    return fail(std::move(ready).error());
  }
  if (auto ready = ring->check_receive(); !ready) return fail(std::move(ready).error());
  return ring;
}

IoUringRing::~IoUringRing() {
  if (ring_open_) io_uring_queue_exit(&ring_);
}

Result<void> IoUringRing::open_ring() {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = kCompletions;
  const int error = io_uring_queue_init_params(kSubmissions, &ring_, &params);
  if (error < 0) return unsupported(setup_failure(-error));
  ring_open_ = true;
  // EXT_ARG: timeouts as arguments of a wait. NODROP: no completion is ever lost. CQE_SKIP: none
  // for sends that succeed.
  constexpr unsigned kNeeded =
      IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
  if ((ring_.features & kNeeded) != kNeeded) {
    return unsupported(fmt::format("kernel {} lacks io_uring features", kernel_release()));
  }
  // Saves looking up the ring's descriptor on each entry; nothing depends on it.
  io_uring_register_ring_fd(&ring_);
  return {};
}

Result<void> IoUringRing::check_operations() {
  const std::unique_ptr<io_uring_probe, void (*)(io_uring_probe*)> probe(
      io_uring_get_probe_ring(&ring_), io_uring_free_probe);
  if (!probe) return unsupported("io_uring cannot be probed");
  struct Needed {
    int operation;
    const char* name;
  };
  constexpr std::array<Needed, 3> kNeeded{{{IORING_OP_RECVMSG, "recvmsg"},
                                           {IORING_OP_SENDMSG, "sendmsg"},
                                           {IORING_OP_POLL_ADD, "poll"}}};
  for (const Needed& needed : kNeeded) {
    if (!io_uring_opcode_supported(probe.get(), needed.operation)) {
      return unsupported(fmt::format("io_uring has no {}", needed.name));
    }
  }
  return {};
}

/// Receives one datagram the way the network will, over a socket pair: sandboxes and emulated
/// kernels fail in more ways than version numbers tell.
Result<void> IoUringRing::check_receive() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
    return unsupported(fmt::format("socketpair: {}", error_text(errno)));
  }
  msghdr header{};
  io_uring_sqe* receive = entry();
  io_uring_prep_recvmsg_multishot(receive, pair[0], &header, 0);
  receive->flags |= IOSQE_BUFFER_SELECT;
  receive->buf_group = kBufferGroup;
  const char byte = 1;
  const bool sent = ::send(pair[1], &byte, 1, 0) == 1;

  __kernel_timespec patience{.tv_sec = 2, .tv_nsec = 0};
  io_uring_cqe* completion = nullptr;
  int result = io_uring_submit_and_wait_timeout(&ring_, &completion, 1, &patience, nullptr);
  bool received = false;
  if (sent && completion != nullptr) {
    result = completion->res;
    received = result > 0 && (completion->flags & IORING_CQE_F_BUFFER) != 0 &&
               (completion->flags & IORING_CQE_F_MORE) != 0;
    if ((completion->flags & IORING_CQE_F_BUFFER) != 0) {
      buffers_.give_back(static_cast<std::uint16_t>(completion->flags >> IORING_CQE_BUFFER_SHIFT));
    }
    io_uring_cqe_seen(&ring_, completion);
  }

  // Closing the peer does not end a datagram socket's multishot; cancelling does.
  io_uring_sync_cancel_reg cancel{};
  cancel.fd = pair[0];
  cancel.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout = {.tv_sec = -1, .tv_nsec = -1};
  const int cancelled = io_uring_register_sync_cancel(&ring_, &cancel);
  if (received && cancelled >= 0) {
    // Its last word, so that the network starts with an empty completion queue.
    io_uring_submit_and_wait_timeout(&ring_, &completion, 1, &patience, nullptr);
    if (completion != nullptr) io_uring_cqe_seen(&ring_, completion);
  }
  ::close(pair[0]);
  ::close(pair[1]);
  if (!received) {
    return unsupported(result < 0 ? fmt::format("multishot recvmsg: {}", error_text(-result))
                                  : std::string("multishot recvmsg does not work"));
  }
  if (cancelled < 0) return unsupported(fmt::format("cancel: {}", error_text(-cancelled)));
  return {};
}

io_uring_sqe* IoUringRing::entry() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
    TERN_CHECK(sqe != nullptr);
  }
  return sqe;
}

}  // namespace tern::engine
