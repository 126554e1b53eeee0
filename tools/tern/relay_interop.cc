#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/tern/relay_settings.h"
#include "tools/tern/terminal.h"

/// The scenarios of github.com/quic-interop/quic-network-simulator, by their names and options,
/// with the same effect on packets.

namespace tern::cli {
namespace {

using relay::Direction;

template <typename... Values>
[[noreturn]] void refuse_scenario(fmt::format_string<Values...> format, Values&&... values) {
  throw std::invalid_argument(fmt::format(format, std::forward<Values>(values)...));
}

struct Scenario {
  std::string_view name;
  std::vector<std::string_view> options;  // beside delay, bandwidth and queue
};

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> known = {
      {"simple-p2p", {}},
      {"drop-rate", {"rate_to_client", "rate_to_server", "burst_to_client", "burst_to_server"}},
      {"corrupt-rate", {"rate_to_client", "rate_to_server", "burst_to_client", "burst_to_server"}},
      {"droplist", {"drops_to_client", "drops_to_server"}},
      {"blackhole", {"on", "off", "repeat", "direction"}},
      {"rebind", {"first-rebind", "rebind-freq", "rebind-addr"}},
  };
  return known;
}

class Words {
 public:
  explicit Words(std::string_view text) {
    std::istringstream in{std::string(text)};
    in >> name_;
    const auto known = std::find_if(scenarios().begin(), scenarios().end(),
                                    [&](const Scenario& one) { return one.name == name_; });
    if (known == scenarios().end()) {
      std::string names;
      for (const Scenario& one : scenarios()) {
        names += (names.empty() ? "" : ", ") + std::string(one.name);
      }
      refuse_scenario("'{}' is none of {}, and `tern handoff` lists none of that name", name_,
                      names);
    }
    std::string last;
    for (std::string word; in >> word;) {
      if (!word.starts_with("--")) {
        if (last.empty() || !values_[last].empty())
          refuse_scenario("'{}' belongs to no option", word);
        values_[last] = word;
        continue;
      }
      const std::size_t sign = word.find('=');
      last = word.substr(2, sign == std::string::npos ? sign : sign - 2);
      const bool common = last == "delay" || last == "bandwidth" || last == "queue";
      if (!common &&
          std::find(known->options.begin(), known->options.end(), last) == known->options.end()) {
        refuse_scenario("{} has no option --{}", name_, last);
      }
      values_[last] = sign == std::string::npos ? "" : word.substr(sign + 1);
    }
  }

  const std::string& name() const noexcept { return name_; }
  bool has(const std::string& option) const { return values_.contains(option); }
  std::string text(const std::string& option) const {
    const auto found = values_.find(option);
    if (found == values_.end()) refuse_scenario("{} wants --{}", name_, option);
    return found->second;
  }
  std::uint64_t number(const std::string& option) const {
    const std::string value = text(option);
    std::uint64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc() || end != value.data() + value.size()) {
      refuse_scenario("--{}: '{}' is no number", option, value);
    }
    return parsed;
  }

 private:
  std::string name_;
  std::map<std::string, std::string> values_;
};

constexpr std::pair<const char*, Direction> kDirections[] = {{"to_client", Direction::to_client},
                                                             {"to_server", Direction::to_server}};

/// RFC 9000 §17.2.1: a long header with version 0. One that was changed could make a client give
/// up.
bool is_version_negotiation(ByteView payload) {
  return payload.size() >= 5 && (payload[0] & 0x80) != 0 &&
         std::all_of(payload.begin() + 1, payload.begin() + 5,
                     [](std::uint8_t byte) { return byte == 0; });
}

/// Of the UDP payload, so that headers are hit often.
constexpr std::uint64_t kCorruptedBytes = 50;

void add_rates(const Words& words, bool corrupt, RelayPlan& plan) {
  for (const auto& [name, direction] : kDirections) {
    const std::uint64_t percent = words.number(std::string("rate_") + name);
    if (percent > 100) refuse_scenario("--rate_{}: {} % is more than all", name, percent);
    std::uint64_t most = sim::ChannelModel::kUnlimited;
    const std::string burst = std::string("burst_") + name;
    if (words.has(burst)) most = words.number(burst);
    const double share = static_cast<double>(percent) / 100;
    plan.apply(direction, [&](sim::ChannelModel& model) {
      (corrupt ? model.corrupt : model.loss) = share;
      (corrupt ? model.corrupt_run : model.loss_run) = most;
      if (!corrupt) return;
      model.corrupt_within = kCorruptedBytes;
      model.spared = is_version_negotiation;
    });
  }
}

void add_drops(const Words& words, RelayPlan& plan) {
  for (const auto& [name, direction] : kDirections) {
    const std::string option = std::string("drops_") + name;
    if (words.has(option)) plan.apply(direction, parse_link_setting("drop", words.text(option)));
  }
}

void add_blackhole(const Words& words, RelayPlan& plan) {
  Direction direction = Direction::both;
  if (words.has("direction")) {
    const std::string wanted = words.text("direction");
    if (wanted == "toclient") {
      direction = Direction::to_client;
    } else if (wanted == "toserver") {
      direction = Direction::to_server;
    } else if (wanted != "both") {
      refuse_scenario("--direction: '{}' is none of both, toclient, toserver", wanted);
    }
  }
  const std::uint64_t times = words.has("repeat") ? words.number("repeat") : 1;
  plan.apply(direction, parse_link_setting("blackhole", fmt::format("{}/{}/{}", words.text("on"),
                                                                    words.text("off"), times)));
}

void add_rebinding(const Words& words, RelayPlan& plan) {
  const Duration first = parse_time(words.text("first-rebind"));
  const Duration every =
      words.has("rebind-freq") ? parse_time(words.text("rebind-freq")) : Duration{0};
  bool address = false;
  if (words.has("rebind-addr")) {
    const std::string value = words.text("rebind-addr");
    address = value.empty() || value == "true" || value == "1";
    if (!address && value != "false" && value != "0") {
      refuse_scenario("--rebind-addr: '{}' is neither true nor false", value);
    }
  }
  plan.timelines.push_back(rebinding(first, every, address));
}

}  // namespace

void read_interop_scenario(std::string_view text, RelayPlan& plan) {
  const Words words(text);
  plan.apply(Direction::both, parse_link_setting("delay", words.text("delay")));
  plan.apply(Direction::both, parse_link_setting("rate", words.text("bandwidth")));
  plan.apply(Direction::both,
             parse_link_setting("queue", fmt::format("{}p", words.number("queue"))));
  if (words.name() == "drop-rate") add_rates(words, false, plan);
  if (words.name() == "corrupt-rate") add_rates(words, true, plan);
  if (words.name() == "droplist") add_drops(words, plan);
  if (words.name() == "blackhole") add_blackhole(words, plan);
  if (words.name() == "rebind") add_rebinding(words, plan);
}

}  // namespace tern::cli
