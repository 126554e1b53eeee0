#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "tools/tern/exit_code.h"

/// `tern interop URL…`: the prober of tools/interop from the command line.

namespace tern::cli {

struct InteropProbeOptions {
  std::vector<std::string> urls;
  std::optional<std::string> tests;
  bool list = false;
  std::optional<Duration> timeout;
  std::string endpoints;
  std::string retry_url;
  std::string throughput_path;
  bool hq = false;
  std::vector<std::string> resolve;
  bool insecure = false;
  std::string ca_file;
  bool json = false;
  std::optional<std::string> html;
  std::string qlog;
};

ExitCode run_interop_probe(const InteropProbeOptions& options);

}  // namespace tern::cli
