#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/time.h"
#include "transport/engine/engine.h"
#include "transport/quic/options.h"
#include "transport/udp/address.h"

/// Flags that several verbs have.

namespace tern::cli {

/// Throws a Failure (usage) unless the file of --cacert, or another flag, if any, has certificates.
void check_ca_file(const std::string& path, std::string_view flag = "--cacert");

/// "--resolve localhost:4433:127.0.0.1" or "…:[::1]", as curl's.
struct ResolveEntry {
  std::string host;
  std::uint16_t port = 0;
  udp::Address address;  ///< with that port
};
/// Throws a Failure (usage) for anything else.
ResolveEntry parse_resolve(const std::string& text);

void add_engine(CLI::App& verb, engine::EngineKind& kind);
void add_congestion(CLI::App& verb, quic::Congestion& algorithm);
/// "--quic-version 1,2": version numbers as people say them.
void add_versions(CLI::App& verb, std::vector<std::uint32_t>& versions, const std::string& help);
/// The value is a whole number, from `least` to `most`; a complaint says so in words.
CLI::Validator whole_number(std::uint64_t least = 0, std::uint64_t most = UINT64_MAX);
/// "-D 0" and the like: a time that has to pass. Throws a Failure (usage).
void check_some_time(const char* flag, const std::optional<Duration>& time);
CLI::Option* add_duration(CLI::App& verb, const std::string& flag, std::optional<Duration>& value,
                          const std::string& help);

}  // namespace tern::cli
