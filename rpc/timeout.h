#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

/// How long a call may take, as the dialects write it.

namespace tern::rpc {

/// grpc-timeout: one to eight digits and a unit, H, M, S, m, u or n (PROTOCOL-HTTP2.md). Nothing
/// when it is malformed. What does not fit into a Duration is its greatest value.
std::optional<Duration> parse_grpc_timeout(std::string_view value) noexcept;
/// In the finest unit that takes no more than eight digits, rounded up; a negative one is "0n".
std::string format_grpc_timeout(Duration timeout);

/// connect-timeout-ms: one to ten digits.
std::optional<Duration> parse_connect_timeout(std::string_view value) noexcept;
/// Rounded up; at most ten digits.
std::string format_connect_timeout(Duration timeout);

}  // namespace tern::rpc
