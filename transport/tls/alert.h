#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::tls {

/// "handshake_failure" for 40 and so on (RFC 8446 §6); "unknown alert" for others.
std::string_view alert_name(std::uint8_t alert) noexcept;
/// The same of an alert that the peer has sent, with what people should know where it is not plain.
std::string explained_alert(std::uint8_t alert);

}  // namespace tern::tls
