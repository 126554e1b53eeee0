#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/handoff/scenario.h"
#include "tools/relay/timeline.h"
#include "transport/sim/link_options.h"

/// How people write down what a relay does to packets: the same names and values as flags, after
/// `--up` and `--down`, and in the files of `--script`. Everything here throws
/// std::invalid_argument with one readable line.

namespace tern::cli {

/// What `tern relay` does, apart from addresses and NAT.
struct RelayPlan {
  sim::ChannelModel to_server;
  sim::ChannelModel to_client;
  std::vector<relay::Timeline> timelines;

  void apply(relay::Direction direction, const std::function<void(sim::ChannelModel&)>& change);
};

struct LinkSetting {
  const char* name;   ///< "delay": the key, and with "--" the flag
  const char* value;  ///< "TIME", for --help; empty for a switch
  const char* help;
};

/// All there are, in the order of --help.
const std::vector<LinkSetting>& link_settings();
/// "delay", "15ms" as a change of one direction. A switch wants "true" or "false".
std::function<void(sim::ChannelModel&)> parse_link_setting(std::string_view name,
                                                           const std::string& value);
/// "loss=5%,rate=3mbps": several, in order.
std::function<void(sim::ChannelModel&)> parse_link_settings(std::string_view text);

/// "cut", "restore", "rebind", "rebind-address".
relay::Action parse_action(std::string_view name);

/// A rebinding of the NAT at `first`, and again after each `every` if that is not 0.
relay::Timeline rebinding(Duration first, Duration every, bool address);

/// "10mbps", "500 kbit", "1G": bits per second, from 1 on; "unlimited" and "0" are 0.
double parse_rate(std::string_view text);
/// As `parse_duration`, at most a year.
Duration parse_time(const std::string& text);
/// "2%", "0.1%", "0". A number without the sign is refused: it could mean either.
double parse_percentage(std::string_view text);

/// The scenario of `--script`, a TOML document (docs/relay.md); `name` is the file's, for
/// "NAME:LINE: …".
void read_script(std::string_view text, const std::string& name, RelayPlan& plan);

/// A scenario in the words of the QUIC interop runner's simulator, name and options:
/// "drop-rate --delay=15ms --bandwidth=10Mbps --queue=25 --rate_to_client=2 --rate_to_server=2".
/// Known are simple-p2p, drop-rate, corrupt-rate, droplist, blackhole and rebind.
void read_interop_scenario(std::string_view text, RelayPlan& plan);

/// A scenario of `tern handoff` as the one link that the phone uses at each time: its rates, delays
/// and losses, as they change; silence where the phone has none; and where it takes another
/// network, a new address. Numbers are those of the same seed there. Not for those of many phones
/// or servers.
void read_handoff_scenario(const handoff::Scenario& scenario, std::uint64_t seed, RelayPlan& plan);

/// `--scenario`: the name of one of `tern handoff`, or one of the interop runner.
void read_scenario(std::string_view text, std::uint64_t seed, RelayPlan& plan);

}  // namespace tern::cli
