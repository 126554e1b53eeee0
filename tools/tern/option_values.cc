#include "tools/tern/option_values.h"

#include <charconv>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/ascii.h"
#include "tools/tern/terminal.h"
#include "transport/tls/client_context.h"

namespace tern::cli {

void check_ca_file(const std::string& path, std::string_view flag, ExitCode code) {
  if (path.empty()) return;
  const auto context = tls::ClientContext::create(tls::ClientContextOptions().ca_file(path));
  if (!context) fail_with(code, fmt::format("{}: {}", flag, context.error().detail));
}

CLI::Validator no_flag() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        return text.starts_with('-') ? "unknown argument '" + text + "'" : std::string();
      },
      "");
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? std::string("it is empty") : std::string(); },
      "");
}

void refuse_over_tcp(const CLI::App& verb, std::initializer_list<const char*> flags,
                     std::string_view chosen) {
  if (chosen.empty()) return;
  for (const char* flag : flags) {
    if (verb.get_option(flag)->count() == 0) continue;
    fail_with(ExitCode::usage,
              fmt::format("{} is about QUIC, and {} goes over TCP: leave one out", flag, chosen));
  }
}

ResolveEntry parse_resolve(const std::string& text) {
  // curl's '+' lets an entry time out, which none does here.
  const std::string_view all = std::string_view(text).substr(text.starts_with('+') ? 1 : 0);
  const std::size_t first = all.find(':');
  const std::size_t second = first == std::string_view::npos ? first : all.find(':', first + 1);
  if (second != std::string_view::npos) {
    ResolveEntry entry;
    const char* const last = all.data() + second;
    const auto [end, error] = std::from_chars(all.data() + first + 1, last, entry.port);
    bool good = error == std::errc() && end == last && entry.port != 0;
    for (std::string_view rest = all.substr(second); good && !rest.empty();) {
      rest.remove_prefix(1);  // ':' or ','
      std::string_view ip = rest.substr(0, rest.find(','));
      rest.remove_prefix(ip.size());
      if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
      const auto address = udp::Address::parse_ip(std::string(ip), entry.port);
      good = address.has_value();
      if (good) entry.addresses.push_back(*address);
    }
    if (good) {
      entry.host = ascii::lower_case(all.substr(0, first));
      return entry;
    }
  }
  fail_with(ExitCode::usage, "--resolve '" + text + "': write it as HOST:PORT:ADDRESS");
}

void add_engine(CLI::App& verb, engine::EngineKind& kind) {
  verb.add_option_function<std::string>(
          "--engine",
          [&kind](const std::string& text) {
            const auto parsed = engine::parse_engine_kind(text);
            if (!parsed) throw CLI::ValidationError("--engine", parsed.error().detail);
            kind = *parsed;
          },
          "auto, io_uring or epoll; auto takes what works best here")
      ->type_name("KIND");
}

void add_congestion(CLI::App& verb, quic::Congestion& algorithm) {
  verb.add_option_function<std::string>(
          "--congestion",
          [&algorithm](const std::string& text) {
            if (text == "cubic") {
              algorithm = quic::Congestion::cubic;
            } else if (text == "bbr") {
              algorithm = quic::Congestion::bbr;
            } else if (text == "reno") {
              algorithm = quic::Congestion::reno;
            } else {
              throw CLI::ValidationError("--congestion",
                                         "'" + text + "' is none of cubic, bbr, reno");
            }
          },
          "Congestion control: cubic (default), bbr or reno")
      ->type_name("NAME");
}

void add_versions(CLI::App& verb, std::vector<std::uint32_t>& versions, const std::string& help) {
  verb.add_option_function<std::vector<std::string>>(
          "--quic-version",
          [&versions](const std::vector<std::string>& texts) {
            versions.clear();
            for (const std::string& text : texts) {
              if (text != "1" && text != "2") {
                throw CLI::ValidationError("--quic-version",
                                           "'" + text + "': QUIC has version 1 and version 2");
              }
              versions.push_back(text == "1" ? quic::kVersion1 : quic::kVersion2);
            }
          },
          help)
      ->delimiter(',')
      ->type_name("V")
      ->allow_extra_args(false);
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  CLI::Validator check(
      [least, most](std::string& text) -> std::string {
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && rest == end && value >= least && value <= most) return {};
        std::string what = "'" + text + "' is no whole number";
        if (most != UINT64_MAX) {
          what += fmt::format(" from {} to {}", least, most);
        } else if (least > 0) {
          what += fmt::format(" from {} on", least);
        }
        return what;
      },
      "");
  return check;
}

void check_some_time(const char* flag, const std::optional<Duration>& time) {
  if (time && *time <= Duration::zero()) {
    fail_with(ExitCode::usage, fmt::format("{}: a time above 0", flag));
  }
}

CLI::Option* add_duration(CLI::App& verb, const std::string& flag, std::optional<Duration>& value,
                          const std::string& help) {
  return verb
      .add_option_function<std::string>(
          flag,
          [&value, flag](const std::string& text) {
            try {
              value = parse_duration(text);
            } catch (const std::invalid_argument& error) {
              throw CLI::ValidationError(flag, error.what());
            }
          },
          help)
      ->type_name("TIME");
}

}  // namespace tern::cli
