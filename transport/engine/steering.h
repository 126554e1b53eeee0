#pragma once

#include <cstdint>

#include "base/error.h"

namespace tern::engine {

/// Attaches classic BPF to an SO_REUSEPORT group (docs/decisions/0021): the datagram goes to the
/// socket whose index is the byte at `worker_offset` of the destination connection ID, modulo
/// `count`. `fd` is any socket of the group; the program stays for the group's life.
Result<void> attach_steering(int fd, std::uint8_t worker_offset, std::uint32_t count);

}  // namespace tern::engine
