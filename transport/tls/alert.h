#pragma once

#include <cstdint>
#include <string_view>

namespace tern::tls {

/// "handshake_failure" for 40 and so on (RFC 8446 §6); "unknown alert" for others.
std::string_view alert_name(std::uint8_t alert) noexcept;

}  // namespace tern::tls
