#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "connectrpc/conformance/v1/conformance.pb.h"

/// Our own table of the Connect suite's cases, and what has to come of each.

namespace tern::rpc_conformance {

/// The limit of servers for the cases about sizes of messages.
inline constexpr std::uint32_t kMessageLimit = 16 * 1024;

/// What the server of a case is to be.
enum class Serving : std::uint8_t {
  plain,
  limited,  ///< messages have kMessageLimit bytes at most
  mutual,   ///< clients show a certificate
};

struct Case {
  std::string suite;
  /// Without host, port and certificates; `client_tls_creds` is there where one is to be shown.
  connectrpc::conformance::v1::ClientCompatRequest request;
  /// The code that has to come where that is not the definition's.
  int code = 0;
  Serving serving = Serving::plain;
};

/// Those of one dialect on one version of HTTP.
std::vector<Case> cases(connectrpc::conformance::v1::Protocol protocol,
                        connectrpc::conformance::v1::HTTPVersion version);

/// Empty: as it has to be; else what is not.
std::string check(const Case& of, const connectrpc::conformance::v1::ClientCompatResponse& came);

}  // namespace tern::rpc_conformance
