#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/time.h"
#include "transport/engine/engine.h"
#include "transport/quic/options.h"

/// Flags that several verbs have.

namespace tern::cli {

/// Throws a Failure (usage) unless --cacert's file, if any, has certificates.
void check_ca_file(const std::string& path);

void add_engine(CLI::App& verb, engine::EngineKind& kind);
void add_congestion(CLI::App& verb, quic::Congestion& algorithm);
/// "--quic-version 1,2": version numbers as people say them.
void add_versions(CLI::App& verb, std::vector<std::uint32_t>& versions, const std::string& help);
CLI::Option* add_duration(CLI::App& verb, const std::string& flag, std::optional<Duration>& value,
                          const std::string& help);

}  // namespace tern::cli
