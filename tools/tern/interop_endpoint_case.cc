#include "tools/tern/interop_endpoint_case.h"

#include <algorithm>
#include <array>

namespace tern::cli {
namespace {

constexpr std::array kCases{
    InteropCase{.name = "handshake"},
    InteropCase{.name = "transfer"},
    InteropCase{.name = "chacha20", .chacha20 = true},
    InteropCase{.name = "retry", .retry = true},
    InteropCase{.name = "resumption", .connections = InteropConnections::resumed},
    InteropCase{.name = "zerortt",
                .connections = InteropConnections::early_data,
                .path_mtu_discovery = false},
    InteropCase{.name = "http3", .http3 = true},
    InteropCase{.name = "multiconnect",
                .connections = InteropConnections::each,
                .patient_handshakes = true},
    InteropCase{.name = "keyupdate", .server = false, .key_update = true},
    InteropCase{.name = "ecn", .path_mtu_discovery = false},
    InteropCase{.name = "v2", .version2 = true},
    InteropCase{.name = "connectionmigration", .client = false, .preferred_address = true},
};

}  // namespace

const InteropCase* interop_case(std::string_view name, bool server) noexcept {
  const auto* const found =
      std::find_if(kCases.begin(), kCases.end(), [&](const InteropCase& each) {
        return each.name == name && (server ? each.server : each.client);
      });
  return found == kCases.end() ? nullptr : found;
}

}  // namespace tern::cli
