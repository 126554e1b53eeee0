#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/tern/exit_code.h"
#include "transport/engine/engine.h"

/// `tern interop endpoint`: one endpoint of the QUIC interop runner's test cases, told what to do
/// by the runner's environment variables. The flags replace its mounts, so that the same endpoint
/// runs without containers.

namespace tern::cli {

struct InteropEndpointOptions {
  std::string role;      ///< "client" or "server"
  std::string testcase;  ///< e.g. "handshake"
  std::vector<std::string> requests;
  std::string www = "/www";
  std::string downloads = "/downloads";
  std::string certificates = "/certs";  ///< cert.pem, priv.key, ca.pem
  std::vector<std::string> listen{"[::]:443"};
  std::vector<std::string> preferred;
  std::vector<std::string> resolve;
  engine::EngineKind engine = engine::EngineKind::automatic;
};

/// Adds `endpoint` to `tern interop`.
void add_interop_endpoint(CLI::App& interop, ExitCode& result);

/// Runs to the end: a client until its files are there, a server until a signal. `unsupported` for
/// a test case that the role does not know, before anything else is looked at.
ExitCode run_interop_endpoint(const InteropEndpointOptions& options);

}  // namespace tern::cli
