#include "transport/engine/engine.h"

#include <bit>
#include <sys/utsname.h>
#include <utility>

#include <fmt/format.h>

#include "transport/engine/epoll_network.h"
#include "transport/engine/io_uring_network.h"
#include "transport/engine/offload.h"

namespace tern::engine {

namespace {

std::string offload_words(const EngineOptions& options) {
  const bool receive = options.offload() && receive_offload_available();
  const bool send = options.offload() && send_offload_available();
  return fmt::format("{}, {}", receive ? "GRO" : "no GRO", send ? "GSO" : "no GSO");
}

Result<std::unique_ptr<udp::Network>> open_io_uring(const EngineOptions& options) {
  TERN_TRY(auto ring, IoUringRing::open(options.receive_buffers()));
  auto network = std::make_unique<IoUringNetwork>(
      options,
      fmt::format("io_uring (kernel {}: multishot recvmsg, provided buffers, {})", kernel_release(),
                  offload_words(options)),
      std::move(ring));
  if (auto ready = network->open_all(); !ready) return fail(std::move(ready).error());
  return network;
}

Result<std::unique_ptr<udp::Network>> open_epoll(const EngineOptions& options,
                                                 const std::string& why) {
  auto network = std::make_unique<EpollNetwork>(
      options, fmt::format("epoll ({}kernel {}: recvmmsg, sendmmsg, {})", why, kernel_release(),
                           offload_words(options)));
  if (auto ready = network->open_all(); !ready) return fail(std::move(ready).error());
  return network;
}

}  // namespace

std::string_view name(EngineKind kind) noexcept {
  switch (kind) {
    case EngineKind::automatic: return "auto";
    case EngineKind::io_uring: return "io_uring";
    case EngineKind::epoll: return "epoll";
  }
  return "?";
}

Result<EngineKind> parse_engine_kind(std::string_view text) {
  for (const EngineKind kind : {EngineKind::automatic, EngineKind::io_uring, EngineKind::epoll}) {
    if (text == name(kind)) return kind;
  }
  return fail(Error::invalid(fmt::format("no engine '{}': auto, io_uring or epoll", text)));
}

std::string kernel_release() {
  utsname system{};
  return ::uname(&system) == 0 ? system.release : "unknown";
}

Result<std::unique_ptr<udp::Network>> open(const EngineOptions& options) {
  constexpr std::size_t kMost = 1024;
  if (!std::has_single_bit(options.receive_buffers()) || options.receive_buffers() > kMost) {
    return fail(Error::invalid(fmt::format("{} receive buffers: wanted a power of two up to {}",
                                           options.receive_buffers(), kMost)));
  }
  if (options.slabs() == 0 || options.slabs() > kMost) {
    return fail(Error::invalid(fmt::format("{} slabs: wanted 1 to {}", options.slabs(), kMost)));
  }
  if (options.busy_poll() < Duration::zero() || options.busy_poll() > std::chrono::seconds(1)) {
    return fail(Error::invalid("polls before a sleep: wanted 0 to 1 s"));
  }
  if (options.kind() == EngineKind::epoll) return open_epoll(options, "");
  auto network = open_io_uring(options);
  if (network) return network;
  if (options.kind() == EngineKind::io_uring) {
    Error error = std::move(network).error();
    error.detail = "io_uring is not available: " + error.detail;
    return fail(std::move(error));
  }
  return open_epoll(options, fmt::format("no io_uring: {}; ", network.error().detail));
}

std::vector<Feature> features() {
  std::vector<Feature> found;
  auto ring = IoUringRing::open(1);
  found.push_back({"io_uring", ring.has_value(), ring ? "" : ring.error().detail});
  const bool send = send_offload_available();
  found.push_back({"UDP GSO", send, send ? "" : "no UDP_SEGMENT: one system call per datagram"});
  const bool receive = receive_offload_available();
  found.push_back({"UDP GRO", receive, receive ? "" : "no UDP_GRO: one datagram per arrival"});
  return found;
}

}  // namespace tern::engine
