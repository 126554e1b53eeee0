#pragma once

namespace tern::engine {

/// Whether the kernel knows UDP_GRO and UDP_SEGMENT (5.0 and 4.18). Devices have a say as well:
/// what one refuses is segmented in user space from then on.
bool receive_offload_available() noexcept;
bool send_offload_available() noexcept;

}  // namespace tern::engine
