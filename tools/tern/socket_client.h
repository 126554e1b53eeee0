#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/runtime.h"
#include "base/time.h"
#include "gateway/client.h"
#include "tools/tern/exit_code.h"
#include "transport/engine/engine.h"

/// What `tern ws` and `tern wt` share: flags, the client they make of them, Ctrl-C, and how they
/// show bytes.

namespace tern::cli {

struct SocketOptions {
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
  bool insecure = false;
  std::string ca_file;
  std::vector<std::string> resolve;
  std::optional<std::string> proxy;     ///< instead of the environment's; empty: none
  std::optional<std::string> no_proxy;  ///< likewise
  std::optional<Duration> connect_timeout;
  std::optional<Duration> max_time;
  engine::EngineKind engine = engine::EngineKind::automatic;
  std::string qlog;
};

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

/// Ctrl-C, from a thread of its own: the first one comes to `stop` on the runtime's thread; a
/// second one, or one before `start`, ends the program.
class Interrupts {
 public:
  void start(Runtime& runtime, std::function<void()> stop);
  void end();
  void interrupt();

 private:
  std::mutex mutex_;
  Runtime* runtime_ = nullptr;
  std::function<void()> stop_;
  int count_ = 0;
};

}  // namespace tern::cli
