#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tools/tern/relay_settings.h"
#include "tools/tern/toml_document.h"

/// The files of `tern relay --script`.

namespace tern::cli {
namespace {

using relay::Direction;
using Change = std::function<void(sim::ChannelModel&)>;

class ScriptReader {
 public:
  ScriptReader(const std::string& name, RelayPlan& plan) : name_(name), plan_(plan) {}

  void read(std::string_view text) {
    toml::table document;
    try {
      document = parse_toml(text);
    } catch (const TomlError& error) {
      fail_at(error.line(), error.what());
    }
    relay::Timeline timeline;
    Duration repeat{0};
    Duration last{0};
    std::size_t repeat_line = 0;
    for (const auto& [key, node] : document) {
      if (key == "repeat") {
        repeat = duration(key.str(), node);
        repeat_line = line(node);
      } else if (key == "at") {
        last = read_steps(node, timeline);
      } else if (key == "up" || key == "down") {
        plan_.apply(direction(key.str()), settings(node).first);
      } else {
        plan_.apply(Direction::both, setting(key.str(), node));
      }
    }
    if (repeat_line != 0) {
      if (timeline.empty()) fail_at(repeat_line, "'repeat' wants [[at]] steps");
      if (repeat < relay::Timeline::kShortestPeriod || repeat < last) {
        fail_at(repeat_line, "'repeat' is shorter than what it repeats");
      }
      timeline.repeat_every(repeat);
    }
    if (!timeline.empty()) plan_.timelines.push_back(std::move(timeline));
  }

 private:
  [[noreturn]] void fail_at(std::size_t line, const std::string& what) const {
    throw std::invalid_argument(fmt::format("{}:{}: {}", name_, line, what));
  }
  static std::size_t line(const toml::node& node) { return node.source().begin.line; }
  static Direction direction(std::string_view name) {
    return name == "up"     ? Direction::to_server
           : name == "down" ? Direction::to_client
                            : Direction::both;
  }

  /// A value as it would stand on the command line.
  std::string value(std::string_view key, const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* number = node.as_floating_point()) return fmt::to_string(number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (const auto* list = node.as_array()) {  // drop = [2, 5]
      std::string joined;
      for (const toml::node& item : *list) {
        joined += (joined.empty() ? "" : ",") + value(key, item);
      }
      return joined;
    }
    fail_at(line(node), fmt::format("'{}' wants a string or a number", key));
  }

  Duration duration(std::string_view key, const toml::node& node) const {
    try {
      return parse_time(value(key, node));
    } catch (const std::invalid_argument& error) {
      fail_at(line(node), fmt::format("'{}': {}", key, error.what()));
    }
  }

  Change setting(std::string_view key, const toml::node& node) const {
    try {
      return parse_link_setting(key, value(key, node));
    } catch (const std::invalid_argument& error) {
      const std::string what = error.what();
      fail_at(line(node), what.starts_with(name_ + ":") ? what.substr(what.find(": ") + 2)
                                                        : fmt::format("'{}': {}", key, what));
    }
  }

  /// { loss = "5%", rate = "3mbps" }, and what it says.
  std::pair<Change, std::string> settings(const toml::node& node) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) fail_at(line(node), "wants settings, as { loss = \"5%\" }");
    std::vector<Change> changes;
    std::string text;
    for (const auto& [key, one] : *table) {
      changes.push_back(setting(key.str(), one));
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key.str(), value(key.str(), one));
    }
    Change all = [changes](sim::ChannelModel& model) {
      for (const Change& change : changes) change(model);
    };
    return {std::move(all), std::move(text)};
  }

  Duration read_steps(const toml::node& node, relay::Timeline& timeline) const {
    const toml::array* steps = node.as_array();
    if (steps == nullptr) fail_at(line(node), "steps look like [[at]]");
    if (steps->size() > relay::Timeline::kMaxSteps / 4) {
      fail_at(line(node), "a script has at most 2500 steps");
    }
    Duration last{0};
    for (const toml::node& step : *steps) {
      const toml::table* table = step.as_table();
      if (table == nullptr) fail_at(line(step), "steps look like [[at]]");
      last = std::max(last, read_step(*table, timeline));
    }
    return last;
  }

  Duration read_step(const toml::table& step, relay::Timeline& timeline) const {
    const toml::node* time = step.get("time");
    if (time == nullptr) fail_at(line(step), "an [[at]] wants its time, as time = \"2s\"");
    const Duration at = duration("time", *time);
    Direction acted = Direction::both;
    if (const toml::node* only = step.get("direction")) {
      const std::string name = value("direction", *only);
      if (name != "up" && name != "down") {
        fail_at(line(*only), fmt::format("'direction': '{}' is neither up nor down", name));
      }
      acted = direction(name);
    }
    bool something = false;
    for (const auto& [key, node] : step) {
      if (key == "time" || key == "direction") continue;
      timeline.at(at, action(key.str(), node, acted));
      something = true;
    }
    if (!something) fail_at(line(step), "an [[at]] wants do, set, up or down");
    return at;
  }

  relay::Action action(std::string_view key, const toml::node& node, Direction acted) const {
    relay::Action action;
    if (key == "do") {
      try {
        action = parse_action(value(key, node));
      } catch (const std::invalid_argument& error) {
        fail_at(line(node), fmt::format("'do': {}", error.what()));
      }
      action.direction = acted;
      if (acted != Direction::both) {
        action.text += acted == Direction::to_server ? " up" : " down";
      }
      return action;
    }
    if (key != "set" && key != "up" && key != "down") {
      fail_at(line(node), fmt::format("'{}' is none of time, do, direction, set, up, down", key));
    }
    auto [change, text] = settings(node);
    action.change = std::move(change);
    action.direction = direction(key);
    action.text = key == "set" ? text : fmt::format("{}: {}", key, text);
    return action;
  }

  const std::string& name_;
  RelayPlan& plan_;
};

}  // namespace

void read_script(std::string_view text, const std::string& name, RelayPlan& plan) {
  ScriptReader(name, plan).read(text);
}

}  // namespace tern::cli
