#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "tools/handoff/scenario.h"
#include "tools/handoff/stage.h"
#include "tools/tern/relay_settings.h"

/// The scenarios of `tern handoff` for real programs: played without any traffic, and written down
/// as what happens to the one link that is the phone's way to the server at each time.

namespace tern::cli {
namespace {

using relay::Action;
using relay::Direction;
using sim::ChannelModel;
using Change = std::function<void(sim::ChannelModel&)>;

/// Longer than any scenario that has something to say.
constexpr Duration kLength = std::chrono::seconds(30);
/// Networks fade in steps of 100 ms and more.
constexpr Duration kStep = std::chrono::milliseconds(5);

/// What makes one model of the other, and leaves alone what both have: a flag may have set it.
std::vector<Change> difference(const ChannelModel& from, const ChannelModel& to) {
  std::vector<Change> changes;
  const auto compare = [&](auto... members) {
    const auto one = [&](auto member) {
      if (from.*member == to.*member) return;
      changes.push_back(
          [member, value = to.*member](ChannelModel& model) { model.*member = value; });
    };
    (one(members), ...);
  };
  using M = ChannelModel;
  compare(&M::delay, &M::jitter, &M::jitter_shape, &M::jitter_reorders, &M::bits_per_second,
          &M::rate_trace, &M::queue_bytes, &M::queue_packets, &M::loss, &M::loss_run,
          &M::burst_enter, &M::burst_leave, &M::burst_loss, &M::reorder, &M::reorder_delay,
          &M::duplicate, &M::corrupt, &M::corrupt_run, &M::corrupt_within, &M::ecn_mark,
          &M::ecn_threshold, &M::ecn_bleach, &M::mtu, &M::udp_blocked);
  return changes;
}

Change all_of(std::vector<Change> changes) {
  return [changes = std::move(changes)](ChannelModel& model) {
    for (const Change& change : changes) change(model);
  };
}

class Recording {
 public:
  Recording(const handoff::Scenario& scenario, std::uint64_t seed)
      : stage_(seed, handoff::CarrierKind::quic) {
    scenario.play(stage_);
    if (stage_.phones().size() != 1 || stage_.balancer() != nullptr) {
      throw std::invalid_argument(
          fmt::format("'{0}' is about many phones or many servers, not about a link: `tern handoff "
                      "{0}` plays it",
                      scenario.name));
    }
    phone_ = stage_.phones().front().get();
  }

  void write(RelayPlan& plan) {
    handoff::Access* first = phone_->best();
    TERN_CHECK(first != nullptr);
    enter(*first);
    plan.apply(Direction::to_server, all_of(difference(up_, first->link().up().model())));
    plan.apply(Direction::to_client, all_of(difference(down_, first->link().down().model())));
    up_ = first->link().up().model();
    down_ = first->link().down().model();
    for (now_ = kStep; now_ <= kLength; now_ += kStep) {
      stage_.world().run_for(kStep);
      look();
    }
    if (!timeline_.empty()) plan.timelines.push_back(std::move(timeline_));
  }

 private:
  void enter(handoff::Access& access) {
    access_ = &access;
    rebindings_ = access.nat().rebindings();
    outside_ = access.nat().outside_v4();
    inside_ = access.address(false);
  }

  /// What has happened since the last look.
  void look() {
    handoff::Access* access = phone_->best();
    if (access == nullptr) return cut_all();
    if (access != access_) {
      enter(*access);
      act(Action::Kind::rebind_address, fmt::format("to {}: another address", access->name()));
    } else if (access->nat().rebindings() != rebindings_) {
      const bool moved = !(access->nat().outside_v4() == outside_);
      act(moved ? Action::Kind::rebind_address : Action::Kind::rebind,
          moved ? "rebind-address" : "rebind");
      enter(*access);
    } else if (!(access->address(false) == inside_)) {
      act(Action::Kind::rebind, "the phone's address changes: rebind");
      enter(*access);
    }
    follow(Direction::to_server, access->link().up(), up_, is_cut_up_);
    follow(Direction::to_client, access->link().down(), down_, is_cut_down_);
  }

  void follow(Direction direction, const sim::Channel& channel, ChannelModel& model, bool& is_cut) {
    const bool to_server = direction == Direction::to_server;
    std::vector<Change> changes = difference(model, channel.model());
    if (!changes.empty()) {
      model = channel.model();
      Action action;
      action.direction = direction;
      action.change = all_of(std::move(changes));
      action.text = fmt::format(
          "{}: {} with {}, {:.0f} ms", to_server ? "up" : "down", access_->name(),
          model.rate_trace != nullptr ? std::string("the rate of its trace")
                                      : fmt::format("{:.1f} Mbit/s", model.bits_per_second / 1e6),
          std::chrono::duration<double, std::milli>(model.delay).count());
      timeline_.at(now_, std::move(action));
    }
    if (channel.is_cut() == is_cut) return;
    is_cut = channel.is_cut();
    act(is_cut ? Action::Kind::cut : Action::Kind::restore,
        fmt::format("{} {}", is_cut ? "cut" : "restore", to_server ? "up" : "down"), direction);
  }

  void cut_all() {
    for (bool* is_cut : {&is_cut_up_, &is_cut_down_}) {
      if (std::exchange(*is_cut, true)) continue;
      const bool up = is_cut == &is_cut_up_;
      act(Action::Kind::cut, up ? "no network: cut up" : "no network: cut down",
          up ? Direction::to_server : Direction::to_client);
    }
  }

  void act(Action::Kind kind, std::string text, Direction direction = Direction::both) {
    Action action;
    action.kind = kind;
    action.direction = direction;
    action.text = std::move(text);
    timeline_.at(now_, std::move(action));
  }

  handoff::Stage stage_;
  handoff::Phone* phone_ = nullptr;
  relay::Timeline timeline_;
  Duration now_{0};
  handoff::Access* access_ = nullptr;
  std::uint64_t rebindings_ = 0;
  udp::Address outside_, inside_;
  ChannelModel up_, down_;
  bool is_cut_up_ = false;
  bool is_cut_down_ = false;
};

}  // namespace

void read_handoff_scenario(const handoff::Scenario& scenario, std::uint64_t seed, RelayPlan& plan) {
  Recording(scenario, seed).write(plan);
}

void read_scenario(std::string_view text, std::uint64_t seed, RelayPlan& plan) {
  if (const handoff::Scenario* scenario = handoff::find_scenario(text)) {
    return read_handoff_scenario(*scenario, seed, plan);
  }
  read_interop_scenario(text, plan);
}

}  // namespace tern::cli
