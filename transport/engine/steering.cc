#include "transport/engine/steering.h"

#include <cerrno>
#include <iterator>
#include <linux/filter.h>
#include <sys/socket.h>

namespace tern::engine {

namespace {

// Where the destination connection ID starts (RFC 8999 §5): after the flags in a short header;
// after flags, version and the CID's length in a long one.
constexpr std::uint32_t kShortHeaderCid = 1;
constexpr std::uint32_t kLongHeaderCid = 6;
constexpr std::uint32_t kLongHeaderBit = 0x80;

sock_filter step(std::uint16_t code, std::uint32_t k, std::uint8_t if_true = 0,
                 std::uint8_t if_false = 0) {
  return {code, if_true, if_false, k};
}

}  // namespace

Result<void> attach_steering(int fd, std::uint8_t worker_offset, std::uint32_t count) {
  // The program sees the UDP payload. A load past its end ends it with 0: the first socket.
  sock_filter program[] = {
      step(BPF_LD | BPF_B | BPF_ABS, 0),
      step(BPF_JMP | BPF_JSET | BPF_K, kLongHeaderBit, 0, 2),
      step(BPF_LD | BPF_B | BPF_ABS, kLongHeaderCid + worker_offset),
      step(BPF_JMP | BPF_JA, 1),
      step(BPF_LD | BPF_B | BPF_ABS, kShortHeaderCid + worker_offset),
      step(BPF_ALU | BPF_MOD | BPF_K, count),
      step(BPF_RET | BPF_A, 0),
  };
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(std::size(program));
  filter.filter = program;
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) != 0) {
    return fail(Error::os(errno, "SO_ATTACH_REUSEPORT_CBPF"));
  }
  return {};
}

}  // namespace tern::engine
