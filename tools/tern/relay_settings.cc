#include "tools/tern/relay_settings.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "tools/relay/relay.h"
#include "tools/tern/terminal.h"
#include "transport/sim/rate_trace.h"

namespace tern::cli {
namespace {

using Change = std::function<void(sim::ChannelModel&)>;

constexpr std::uint64_t kMostDrops = 100'000;
/// Of IPv6 (RFC 8200 §5), rounded down: nothing smaller is worth simulating.
constexpr std::uint64_t kSmallestMtu = 576;
constexpr std::uint64_t kLargestMtu = 65'575;
/// So that neither the time of a packet nor the sum of two times overflows.
constexpr double kHighestRate = 1e15;
constexpr Duration kLongestTime = relay::RelayOptions::kForever;
/// Bytes of a --trace: RateTrace's most lines, of its longest times.
constexpr std::uintmax_t kLargestTrace = sim::RateTrace::kMaxOpportunities * 9;

template <typename... Values>
[[noreturn]] void refuse(fmt::format_string<Values...> format, Values&&... values) {
  throw std::invalid_argument(fmt::format(format, std::forward<Values>(values)...));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::uint64_t parse_count(std::string_view text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    refuse("'{}' is no {}", text, what);
  }
  return value;
}

/// "30%" or "30%/3", at most three in a row.
std::pair<double, std::uint64_t> parse_chance(const std::string& text) {
  const auto parts = split(text, '/');
  if (parts.size() > 2) refuse("'{}': write 2%, or 2%/3 for at most three in a row", text);
  std::uint64_t most = sim::ChannelModel::kUnlimited;
  if (parts.size() == 2) most = parse_count(parts[1], "number of datagrams in a row");
  return {parse_percentage(parts[0]), most};
}

Change set_queue(const std::string& text) {
  if (!text.empty() && text.back() == 'p') {
    const std::uint64_t packets =
        parse_count(std::string_view(text).substr(0, text.size() - 1), "number of packets");
    return [packets](sim::ChannelModel& model) {
      model.queue_packets = packets;
      model.queue_bytes = sim::ChannelModel::kUnlimited;
    };
  }
  const std::uint64_t bytes = parse_bytes(text);
  return [bytes](sim::ChannelModel& model) {
    model.queue_bytes = bytes;
    model.queue_packets = sim::ChannelModel::kUnlimited;
  };
}

Change set_jitter(const std::string& text) {
  const auto parts = split(text, '/');
  sim::Jitter shape = sim::Jitter::uniform;
  if (parts.size() == 2 && parts[1] == "normal") {
    shape = sim::Jitter::normal;
  } else if (parts.size() == 2 && parts[1] == "exponential") {
    shape = sim::Jitter::exponential;
  } else if (parts.size() > 2 || (parts.size() == 2 && parts[1] != "uniform")) {
    refuse("'{}': write 5ms, 5ms/normal or 5ms/exponential", text);
  }
  const Duration amount = parse_time(parts[0]);
  return [amount, shape](sim::ChannelModel& model) {
    model.jitter = amount;
    model.jitter_shape = shape;
  };
}

Change set_burst(const std::string& text) {
  const auto parts = split(text, '/');
  if (parts.size() < 2 || parts.size() > 3) {
    refuse(
        "'{}': write ENTER/LEAVE or ENTER/LEAVE/LOSS, as 1%/25%: a burst begins with 1 % and "
        "ends with 25 % of the datagrams",
        text);
  }
  const double enter = parse_percentage(parts[0]);
  const double leave = parse_percentage(parts[1]);
  const double loss = parts.size() == 3 ? parse_percentage(parts[2]) : 1;
  if (enter > 0 && leave == 0) refuse("'{}': a burst that never ends is a cut", text);
  return [enter, leave, loss](sim::ChannelModel& model) {
    model.burst_enter = enter;
    model.burst_leave = leave;
    model.burst_loss = loss;
  };
}

Change set_reorder(const std::string& text) {
  const auto parts = split(text, '/');
  if (parts.size() != 2) {
    refuse("'{}': write 1%/10ms: how many, and how much later they come", text);
  }
  const double share = parse_percentage(parts[0]);
  const Duration later = parse_time(parts[1]);
  return [share, later](sim::ChannelModel& model) {
    model.reorder = share;
    model.reorder_delay = later;
  };
}

Change set_blackhole(const std::string& text) {
  const auto parts = split(text, '/');
  if (parts.size() < 2 || parts.size() > 3) {
    refuse("'{}': write ON/OFF or ON/OFF/TIMES, as 5s/2s: five seconds work, then two of nothing",
           text);
  }
  const Duration on = parse_time(parts[0]);
  const Duration off = parse_time(parts[1]);
  if (off == Duration::zero()) refuse("'{}': a black hole lasts longer than 0", text);
  const std::uint64_t times =
      parts.size() == 3 ? parse_count(parts[2], "number of repetitions") : 1;
  return [on, off, times](sim::ChannelModel& model) {
    model.hole_period = on + off;
    model.hole_length = off;
    model.hole_count = times;
  };
}

/// "2,5-7"
Change set_drops(const std::string& text) {
  std::set<std::uint64_t> drops;
  for (const std::string& part : split(text, ',')) {
    const auto ends = split(part, '-');
    const std::uint64_t first = parse_count(ends[0], "datagram's number");
    const std::uint64_t last = ends.size() > 1 ? parse_count(ends[1], "datagram's number") : first;
    if (ends.size() > 2 || first == 0 || last < first) {
      refuse("'{}': write the numbers of datagrams, from 1 on, as 2,5-7", text);
    }
    if (last - first >= kMostDrops || drops.size() + (last - first) >= kMostDrops) {
      refuse("'{}' lists more than {} datagrams", text, kMostDrops);
    }
    for (std::uint64_t number = first; number <= last; ++number) drops.insert(number);
  }
  return [drops](sim::ChannelModel& model) { model.drops = drops; };
}

Change set_mtu(const std::string& text) {
  const std::uint64_t bytes = parse_count(text, "size of an IP packet in bytes");
  if (bytes < kSmallestMtu || bytes > kLargestMtu) {
    refuse("'{}': an MTU is {} to {} bytes", text, kSmallestMtu, kLargestMtu);
  }
  return [bytes](sim::ChannelModel& model) { model.mtu = static_cast<std::size_t>(bytes); };
}

Change set_loss(const std::string& text) {
  const auto [share, most] = parse_chance(text);
  return [share, most](sim::ChannelModel& model) {
    model.loss = share;
    model.loss_run = most;
  };
}

Change set_corrupt(const std::string& text) {
  const auto [share, most] = parse_chance(text);
  return [share, most](sim::ChannelModel& model) {
    model.corrupt = share;
    model.corrupt_run = most;
  };
}

Change set_bleach(const std::string& text) {
  if (text != "true" && text != "false") refuse("'{}' is neither true nor false", text);
  return [on = text == "true"](sim::ChannelModel& model) { model.ecn_bleach = on; };
}

struct Known {
  LinkSetting setting;
  Change (*parse)(const std::string& text);
};

Change set_delay(const std::string& text) {
  const Duration delay = parse_time(text);
  return [delay](sim::ChannelModel& model) { model.delay = delay; };
}

Change set_rate(const std::string& text) {
  const double rate = parse_rate(text);
  return [rate](sim::ChannelModel& model) {
    model.bits_per_second = rate;
    model.rate_trace = nullptr;
  };
}

Change set_trace(const std::string& text) {
  // Never a pipe or a device, which might have no end.
  std::error_code error;
  if (!std::filesystem::is_regular_file(text, error)) refuse("'{}' is no file", text);
  if (std::filesystem::file_size(text, error) > kLargestTrace || error) {
    refuse("'{}' is more than {} MB", text, kLargestTrace / 1'000'000);
  }
  std::ifstream file(text, std::ios::binary);
  std::string lines;
  if (file) lines.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || file.bad()) refuse("cannot read '{}'", text);
  auto parsed = sim::RateTrace::parse(lines, text);
  if (!parsed) throw std::invalid_argument(parsed.error().detail);
  return [trace = std::make_shared<const sim::RateTrace>(*std::move(parsed))](
             sim::ChannelModel& model) { model.rate_trace = trace; };
}

Change set_duplicate(const std::string& text) {
  const double share = parse_percentage(text);
  return [share](sim::ChannelModel& model) { model.duplicate = share; };
}

Change set_mark(const std::string& text) {
  const double share = parse_percentage(text);
  return [share](sim::ChannelModel& model) { model.ecn_mark = share; };
}

Change set_threshold(const std::string& text) {
  const std::uint64_t bytes = parse_bytes(text);
  return [bytes](sim::ChannelModel& model) { model.ecn_threshold = bytes; };
}

const std::vector<Known>& known_settings() {
  static const std::vector<Known> known = {
      {{"delay", "TIME", "One-way delay"}, set_delay},
      {{"jitter", "TIME", "Random extra delay up to this; TIME/normal, TIME/exponential"},
       set_jitter},
      {{"rate", "RATE", "Bits per second, as 10mbps; default: unlimited"}, set_rate},
      {{"trace", "FILE", "Rate as recorded: a line a packet, its time in ms (Mahimahi's format)"},
       set_trace},
      {{"queue", "SIZE", "Room for waiting packets, as 25p or 64KiB (default: 128KiB)"}, set_queue},
      {{"loss", "P", "Datagrams lost, as 2%; 2%/3: at most three in a row"}, set_loss},
      {{"burst", "ENTER/LEAVE", "Loss in bursts (Gilbert-Elliott), as 1%/25%; third: loss in one"},
       set_burst},
      {{"drop", "LIST", "Lose exactly these datagrams, counted from 1: 2,5-7"}, set_drops},
      {{"reorder", "P/TIME", "Datagrams delayed so that others overtake, as 1%/10ms"}, set_reorder},
      {{"duplicate", "P", "Datagrams that come twice"}, set_duplicate},
      {{"corrupt", "P", "Datagrams with 1 to 4 flipped bits; P/N: at most N in a row"},
       set_corrupt},
      {{"mtu", "BYTES", "Larger IP packets vanish (default: 1500)"}, set_mtu},
      {{"blackhole", "ON/OFF", "Nothing gets through for OFF after ON, as 5s/2s; third: how often"},
       set_blackhole},
      {{"ecn-mark", "P", "ECN-capable datagrams marked CE"}, set_mark},
      {{"ecn-threshold", "SIZE", "Mark CE while more than this waits in the queue"}, set_threshold},
      {{"ecn-bleach", "", "Clear the ECN field"}, set_bleach},
  };
  return known;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

double parse_number(std::string_view text, std::string_view& rest) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return -1;
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

void RelayPlan::apply(relay::Direction direction, const Change& change) {
  if (direction != relay::Direction::to_client) change(to_server);
  if (direction != relay::Direction::to_server) change(to_client);
}

double parse_rate(std::string_view text) {
  if (text == "unlimited") return 0;
  std::string_view rest;
  const double number = parse_number(text, rest);
  std::string unit = lower(rest);
  std::erase(unit, ' ');
  for (const std::string_view tail : {"bit/s", "bps", "bit"}) {
    if (unit.ends_with(tail)) {
      unit.resize(unit.size() - tail.size());
      break;
    }
  }
  const std::string_view prefixes = "kmg";
  const bool plain = unit.empty() && (!rest.empty() || number == 0);
  const std::size_t power = unit.size() == 1 ? prefixes.find(unit[0]) : std::string_view::npos;
  if (number < 0 || (!plain && power == std::string_view::npos)) {
    refuse("'{}': rates look like 10mbps, 500kbps or 1gbps", text);
  }
  const double rate = plain ? number : number * std::pow(1000.0, static_cast<double>(power + 1));
  if (rate != 0 && (rate < 1 || rate > kHighestRate)) {
    refuse("'{}': rates are 1 bps to 1000000 gbps", text);
  }
  return rate;
}

Duration parse_time(const std::string& text) {
  const Duration time = parse_duration(text);
  if (time > kLongestTime) refuse("'{}' is longer than a year", text);
  return time;
}

double parse_percentage(std::string_view text) {
  std::string_view rest;
  const double number = parse_number(text, rest);
  if (number < 0 || (rest != "%" && !(rest.empty() && number == 0))) {
    refuse("'{}' is no percentage: write 2%", text);
  }
  if (number > 100) refuse("'{}' is more than all", text);
  return number / 100;
}

const std::vector<LinkSetting>& link_settings() {
  static const std::vector<LinkSetting> settings = [] {
    std::vector<LinkSetting> all;
    for (const Known& known : known_settings()) all.push_back(known.setting);
    return all;
  }();
  return settings;
}

Change parse_link_setting(std::string_view name, const std::string& value) {
  for (const Known& known : known_settings()) {
    if (known.setting.name == name) return known.parse(value);
  }
  std::string names;
  for (const Known& known : known_settings()) {
    names += (names.empty() ? "" : ", ") + std::string(known.setting.name);
  }
  refuse("'{}' is none of {}", name, names);
}

Change parse_link_settings(std::string_view text) {
  // A list's commas are followed by no name.
  std::vector<std::string> settings;
  for (std::string& part : split(text, ',')) {
    if (settings.empty() || part.find('=') != std::string::npos || part == "ecn-bleach") {
      settings.push_back(std::move(part));
    } else {
      settings.back() += "," + part;
    }
  }
  std::vector<Change> changes;
  for (const std::string& setting : settings) {
    const std::size_t sign = setting.find('=');
    if (sign == std::string::npos && setting != "ecn-bleach") {
      refuse("'{}': write NAME=VALUE, as loss=5%", setting);
    }
    const std::string value = sign == std::string::npos ? "true" : setting.substr(sign + 1);
    changes.push_back(parse_link_setting(setting.substr(0, sign), value));
  }
  return [changes](sim::ChannelModel& model) {
    for (const Change& change : changes) change(model);
  };
}

relay::Action parse_action(std::string_view name) {
  using Kind = relay::Action::Kind;
  constexpr std::pair<std::string_view, Kind> kNames[] = {{"cut", Kind::cut},
                                                          {"restore", Kind::restore},
                                                          {"rebind", Kind::rebind},
                                                          {"rebind-address", Kind::rebind_address}};
  for (const auto& [known, kind] : kNames) {
    if (known != name) continue;
    relay::Action action;
    action.kind = kind;
    action.text = name;
    return action;
  }
  refuse("'{}' is none of cut, restore, rebind, rebind-address", name);
}

relay::Timeline rebinding(Duration first, Duration every, bool address) {
  if (every != Duration{0} && every < relay::Timeline::kShortestPeriod) {
    refuse("a rebinding each {} is too often", human_duration(every));
  }
  if (std::max(first, every) > kLongestTime) refuse("no rebinding takes longer than a year");
  relay::Timeline timeline;
  timeline.at(Duration{0}, parse_action(address ? "rebind-address" : "rebind"))
      .begin_at(first)
      .repeat_every(every);
  return timeline;
}

}  // namespace tern::cli
