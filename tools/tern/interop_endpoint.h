#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "tools/tern/cli11_forward.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/interop_endpoint_case.h"
#include "transport/engine/engine.h"
#include "transport/quic/options.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

/// `tern interop endpoint`: one endpoint of the QUIC interop runner's test cases, told what to do
/// by the runner's environment variables. The flags replace its mounts and addresses, so that the
/// same endpoint runs without containers.

namespace tern::cli {

struct InteropEndpointOptions {
  std::string role;      ///< "client" or "server"
  std::string testcase;  ///< the runner's name, e.g. "handshake"
  std::vector<std::string> requests;
  std::string www = "/www";
  std::string downloads = "/downloads";
  std::string certificates = "/certs";  ///< cert.pem, priv.key, ca.pem
  std::vector<std::string> listen{"[::]:443"};
  /// Name or address, and port; of each only the addresses of a family not there yet count.
  std::vector<std::string> preferred{"server4:4433", "server6:4433"};
  bool webtransport = false;  ///< the runner's WebTransport test cases, some of the same names
  std::vector<std::string> protocols;  ///< of applications, to be negotiated
  std::string alpn;                    ///< the client's; empty: what the test case says
  bool check = false;  ///< say whether the test case is supported, and do nothing else
  engine::EngineKind engine = engine::EngineKind::automatic;
};

/// Adds `endpoint` to `tern interop`.
void add_interop_endpoint(CLI::App& interop, ExitCode& result);

/// Runs to the end: a client until its files are there, a server until a signal. `unsupported` for
/// a test case that the role does not know, before anything else is looked at.
ExitCode run_interop_endpoint(const InteropEndpointOptions& options);

// ---- the two roles ------------------------------------------------------------------------------

void run_interop_server(const InteropEndpointOptions& options, const InteropCase& test);
/// False: a request failed, as said on stderr.
bool run_interop_client(const InteropEndpointOptions& options, const InteropCase& test);

/// What both roles' connections have in common.
quic::TransportOptions interop_transport(const InteropCase& test);

/// A name's addresses; never an empty list.
Task<Result<std::vector<udp::Address>>> look_up(Runtime& runtime, udp::Network& network,
                                                std::string host, std::uint16_t port);

}  // namespace tern::cli
