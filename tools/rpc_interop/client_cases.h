#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "rpc/channel.h"

/// The client's cases of gRPC's interoperability tests (doc/interop-test-descriptions.md of
/// grpc/grpc), by their official names: all but those that need Google's cloud or a caching proxy.

namespace tern::rpc_interop {

/// "empty_unary", …, in the order of the document.
const std::vector<std::string_view>& case_names();

/// Runs one case against a server of grpc.testing.TestService, or one of its negative tests of
/// HTTP/2 (doc/http2-interop-test-descriptions.md: "goaway", "rst_after_data", …) against a server
/// that is made for it. Empty: it passed; else what did not hold. The channel outlives the task. A
/// name that is not among the above does not pass.
Task<std::string> run_case(std::string_view name, rpc::Channel& channel);

/// "concurrent_large_unary" with that many calls instead of the document's thousand.
Task<std::string> concurrent_large_unary(rpc::Channel& channel, std::size_t calls);

}  // namespace tern::rpc_interop
