#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "gateway/client.h"
#include "tools/tern/cli11_forward.h"
#include "tools/tern/client_run.h"
#include "tools/tern/exit_code.h"

/// What `tern ws`, `tern wt` and partly `tern call` share: flags, the client they make of them, and
/// how they show bytes.

namespace tern::cli {

struct SocketOptions : ConnectFlags {
  std::string url;
  std::vector<std::string> messages;
  std::vector<std::string> fields;
  std::string origin;
  std::vector<std::string> protocols;
  bool binary = false;
  std::string carrier = "auto";
  std::optional<Duration> wait;
  bool json = false;
  bool verbose = false;
  std::optional<Duration> max_time;
};

/// --insecure, --cacert, --resolve, --proxy and its like, --connect-timeout, --engine, --qlog.
void add_connect_flags(CLI::App& verb, ConnectFlags& flags);
/// "name: value" of -H. Throws a Failure (usage) for what is written otherwise.
std::pair<std::string, std::string> split_field(const std::string& line);

/// The flags of the connection, but for --carrier.
void add_connection_flags(CLI::App& verb, SocketOptions& options);
/// Throws a Failure for what is wrong with them.
ClientOptions client_options(const SocketOptions& options, ClientProtocols protocols);
ClientRequest client_request(const SocketOptions& options);

std::string hex(std::string_view bytes);
/// "* text" on stderr, for `-v`.
void note(const std::string& text);

/// One line that says why, with the fix where there is one.
std::string failure_message(const Error& error, ExitCode code);

}  // namespace tern::cli
