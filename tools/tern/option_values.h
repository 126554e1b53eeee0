#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "tools/tern/cli11_forward.h"
#include "tools/tern/exit_code.h"
#include "transport/engine/engine.h"
#include "transport/quic/options.h"
#include "transport/udp/address.h"

/// Flags that several verbs have.

namespace tern::cli {

/// Throws a Failure unless the file of --cacert, or another flag, if any, has certificates.
void check_ca_file(const std::string& path, std::string_view flag = "--cacert",
                   ExitCode code = ExitCode::usage);
/// "-4" where a URL should be: to CLI11 it is a number, and so none of its flags.
CLI::Validator no_flag();
/// "" is no file: `--client-ca "$CA"` without a CA asks for no certificates, and nobody meant that.
CLI::Validator not_empty();
/// Throws a Failure (usage) for the first of `flags` that was given: they are about QUIC, and
/// `chosen` goes over TCP. Nothing when `chosen` is empty.
void refuse_over_tcp(const CLI::App& verb, std::initializer_list<const char*> flags,
                     std::string_view chosen);

/// "--resolve localhost:4433:127.0.0.1" or "…:[::1],127.0.0.1", as curl's.
struct ResolveEntry {
  std::string host;  ///< "*" for every one
  std::uint16_t port = 0;
  std::vector<udp::Address> addresses;  ///< with that port
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
