#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "transport/engine/engine.h"

namespace tern::cli {

/// The flags of `tern ws`.
struct WsOptions {
  std::string url;
  std::vector<std::string> messages;
  std::vector<std::string> fields;
  std::string origin;
  std::vector<std::string> protocols;
  bool binary = false;
  bool no_compression = false;
  std::string carrier = "auto";
  std::optional<Duration> wait;
  std::optional<Duration> ping;
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

}  // namespace tern::cli
