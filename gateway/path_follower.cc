#include "gateway/path_follower.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "gateway/client_pool.h"

namespace tern {

using Path = NetworkView::Path;
using Reach = NetworkCandidate::Reach;

PathFollower::PathFollower(ClientPool& pool, quic::Connection& connection, Hooks hooks)
    : pool_(pool),
      connection_(connection),
      hooks_(std::move(hooks)),
      timer_(pool.runtime.timers(), [this](Timestamp) { consider(); }),
      in_use_(connection.path().local) {}

PathFollower::~PathFollower() {
  if (pool_.endpoint == nullptr) return;
  for (Candidate& candidate : candidates_) forget_probe(candidate);
}

// ---- what there is ------------------------------------------------------------------------------

void PathFollower::networks_changed() {
  if (connection_.closed()) return;
  replace_again_ = kNever;
  refresh();
  consider();
}

/// Brings the candidates up to date with the interfaces. One that has lost its address is gone, and
/// a new one with the same name is another.
void PathFollower::refresh() {
  const udp::Address remote = connection_.path().remote;
  const Result<udp::Address> system = pool_.network.source_for(remote);
  std::vector<Candidate> before = std::exchange(candidates_, {});
  for (const udp::NetworkInterface& interface : pool_.interfaces.all) {
    if (interface.kind == udp::InterfaceKind::loopback || !interface.up) continue;
    const bool system_choice = system && interface.has(*system);
    // The address in use stays good while it is there, whatever the system prefers by now.
    udp::Address address = interface.has(in_use_) ? in_use_
                           : system_choice        ? *system
                                                  : interface.address_for(remote);
    if (!address.specified() || address.is_v4() != remote.is_v4()) continue;
    address.set_port(0);
    Candidate candidate;
    const auto known = std::find_if(before.begin(), before.end(), [&](const Candidate& entry) {
      return entry.facts.index == interface.index && entry.address == address;
    });
    if (known != before.end()) {
      candidate = std::move(*known);
      before.erase(known);
    }
    candidate.facts.index = interface.index;
    candidate.facts.kind = interface.kind;
    candidate.facts.metric = interface.default_for(remote).value_or(0);
    candidate.facts.system_choice = system_choice;
    candidate.name = interface.name;
    candidate.address = address;
    candidates_.push_back(std::move(candidate));
  }
  for (Candidate& gone : before) forget_probe(gone);

  const auto in_use = std::find_if(candidates_.begin(), candidates_.end(), [&](const auto& entry) {
    return entry.address.same_ip(in_use_);
  });
  if (in_use != candidates_.end()) {
    current_ = in_use->facts.index;
    // Its address has come back: it may work as before, and if not the PING will tell.
    if (path_ == Path::gone) {
      path_ = Path::good;
      watching_ = false;
      connection_.ping();
    }
    if (path_ == Path::good) in_use->facts.reach = Reach::reachable;
  } else {
    if (path_ != Path::gone && current_ != 0) note_failure(current_);
    current_ = 0;
    if (path_ != Path::gone) lose_path(Path::gone, in_use_.ip_string() + " is gone");
  }
  if (target_ != 0 && find(target_) == nullptr) target_ = 0;
}

PathFollower::Candidate* PathFollower::find(std::uint32_t index) noexcept {
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [&](const auto& entry) { return entry.facts.index == index; });
  return found == candidates_.end() ? nullptr : &*found;
}

PathFollower::Candidate* PathFollower::current() noexcept { return find(current_); }

std::string PathFollower::describe(const Candidate& candidate) const {
  return fmt::format("{} ({}, {})", candidate.name, udp::to_string(candidate.facts.kind),
                     candidate.address.ip_string());
}

bool PathFollower::uses(const udp::Address& local) const noexcept {
  return std::any_of(candidates_.begin(), candidates_.end(),
                     [&](const Candidate& candidate) { return candidate.socket == local; });
}

// ---- deciding -----------------------------------------------------------------------------------

NetworkChoice PathFollower::ask_policy() {
  const Timestamp now = pool_.runtime.now();
  std::vector<NetworkCandidate> facts;
  NetworkView view;
  view.path = path_;
  for (const Candidate& candidate : candidates_) {
    if (candidate.facts.index == current_) view.in_use = facts.size();
    facts.push_back(candidate.facts);
    if (const auto known = history_.find(candidate.facts.index); known != history_.end()) {
      facts.back().failures = known->second.failures;
      facts.back().failed = now - known->second.failed_at;
    }
  }
  view.candidates = facts;
  NetworkChoice choice = pool_.options.network_policy_->choose(view);
  if (choice.use && *choice.use >= facts.size()) choice.use = std::nullopt;
  if (choice.spare && *choice.spare >= facts.size()) choice.spare = std::nullopt;
  std::erase_if(choice.ask, [&](std::size_t asked) { return asked >= facts.size(); });
  return choice;
}

void PathFollower::consider() {
  if (connection_.closed()) return;
  const Timestamp now = pool_.runtime.now();
  for (Candidate& candidate : candidates_) {
    if (candidate.probe != 0 && candidate.next_probe <= now) probe_unanswered(candidate);
  }
  const bool watched = can_move() || leads_elsewhere() || unfollowed_;
  if (watching_ != watched) {
    watching_ = watched;
    connection_.watch_path(hooks_.expecting, !watched);
  }
  ask_for_replacement();
  give_up_if_hopeless();
  if (connection_.closed()) return;
  const NetworkChoice choice = ask_policy();
  keep_asking(choice);
  const bool may_move = path_ != Path::good || !pinned_;
  const bool wants = choice.use && candidates_[*choice.use].facts.index != current_;
  const bool due = try_again_ == kNever || now >= try_again_;
  if (due) try_again_ = kNever;
  if (wants && may_move && due) {
    Candidate& target = candidates_[*choice.use];
    const bool at_once = path_ != Path::good;
    // One that is being validated is waited for, unless what is in use has died meanwhile.
    if (target_ == 0 || (at_once && !target_unprobed_) || target_ != target.facts.index) {
      move(target);
    }
  }
  arm();
}

void PathFollower::keep_asking(const NetworkChoice& choice) {
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    Candidate& candidate = candidates_[i];
    const bool asked =
        i == choice.spare || std::find(choice.ask.begin(), choice.ask.end(), i) != choice.ask.end();
    if (!asked) {
      forget_probe(candidate);
      candidate.next_probe = kNever;
      continue;
    }
    if (candidate.next_probe == kNever && target_ != candidate.facts.index) {
      candidate.next_probe = pool_.runtime.now();
    }
    if (candidate.probe == 0 && candidate.next_probe <= pool_.runtime.now()) send_probe(candidate);
  }
}

/// There is a network for the address family of the connection besides the one in use.
bool PathFollower::can_move() const noexcept {
  return std::any_of(candidates_.begin(), candidates_.end(), [this](const Candidate& candidate) {
    return candidate.facts.index != current_;
  });
}

/// There is another interface with a way out for the other address family, which no migration leads
/// to: the server keeps its address (RFC 9000 §9).
bool PathFollower::leads_elsewhere() const noexcept {
  const bool v6 = connection_.path().remote.is_v6();
  const auto& all = pool_.interfaces.all;
  return std::any_of(all.begin(), all.end(), [&](const udp::NetworkInterface& interface) {
    return interface.up && interface.kind != udp::InterfaceKind::loopback &&
           interface.index != current_ &&
           (v6 ? interface.default_v4 : interface.default_v6).has_value();
  });
}

void PathFollower::ask_for_replacement() {
  const Timestamp now = pool_.runtime.now();
  if (path_ == Path::good) replace_again_ = kNever;
  const bool migration_helps = path_ == Path::good || (can_move() && !forbidden_);
  const bool elsewhere = can_move() || leads_elsewhere();
  if (migration_helps || replacing_ || !(elsewhere || unfollowed_)) return;
  if (replace_again_ != kNever && now < replace_again_) return;
  replacing_ = true;
  // What the server does not follow to may well take a new connection.
  hooks_.replace(unfollowed_ ? 0 : current_, why_replaced());
}

std::string PathFollower::why_replaced() const {
  if (forbidden_) return "its network is lost, and the server disabled active migration";
  if (unfollowed_) return "the server has not followed to the network that is left";
  return fmt::format("no other network for IPv{} is left",
                     connection_.path().remote.is_v6() ? 6 : 4);
}

void PathFollower::not_replaced() {
  replacing_ = false;
  replace_again_ = pool_.runtime.now() + kProbeAgain;
  consider();
}

void PathFollower::give_up_if_hopeless() {
  const bool waited = pool_.runtime.now() - silent_since_ >= kMaxSilence;
  if (path_ == Path::gone && replace_again_ != kNever && waited) hooks_.lost(why_replaced());
}

void PathFollower::arm() {
  if (connection_.closed()) return timer_.disarm();
  Timestamp next = try_again_;
  if (path_ != Path::good && !replacing_) next = std::min(next, replace_again_);
  if (path_ == Path::gone && replace_again_ != kNever) {
    next = std::min(next, silent_since_ + kMaxSilence);
  }
  for (const Candidate& candidate : candidates_) next = std::min(next, candidate.next_probe);
  timer_.arm(next);
}

// ---- probing ------------------------------------------------------------------------------------

bool PathFollower::bind(Candidate& candidate) {
  if (candidate.socket.specified()) return true;
  const Result<udp::Address> bound = pool_.bind(candidate.address, candidate.name);
  if (!bound) {
    fail(candidate);
    hooks_.tell(ClientEvent::Type::migration_failed,
                describe(candidate) + ": " + bound.error().detail);
    return false;
  }
  candidate.socket = *bound;
  return true;
}

void PathFollower::send_probe(Candidate& candidate) {
  const Timestamp now = pool_.runtime.now();
  if (!bind(candidate)) {
    candidate.next_probe = now + kProbeAgain;
    return;
  }
  udp::Path path;
  path.local = candidate.socket;
  path.remote = connection_.path().remote;
  const std::uint32_t index = candidate.facts.index;
  candidate.probe = pool_.endpoint->endpoint().probe(
      path, [this, index](Timestamp when) { probe_answered(index, when); });
  candidate.probe_sent = now;
  candidate.next_probe =
      now + kProbeTimeout * (1 << std::min(candidate.unanswered, kProbeTries - 1));
}

void PathFollower::probe_answered(std::uint32_t index, Timestamp now) {
  Candidate* candidate = find(index);
  if (candidate == nullptr) return;
  const bool news = candidate->facts.reach != Reach::reachable;
  candidate->probe = 0;
  candidate->unanswered = 0;
  candidate->facts.reach = Reach::reachable;
  candidate->facts.rtt = now - candidate->probe_sent;
  if (!candidate->first_answer) {
    candidate->first_answer = now;
    candidate->interval = NetworkPolicy::kSettle;
  } else {
    candidate->interval = std::min(2 * candidate->interval, kMaxProbeInterval);
  }
  candidate->facts.stable_for = now - *candidate->first_answer;
  candidate->next_probe = now + candidate->interval;
  if (news) {
    hooks_.tell(
        ClientEvent::Type::spare_ready,
        fmt::format("{}, {:.1f} ms to the server", describe(*candidate),
                    std::chrono::duration<double, std::milli>(*candidate->facts.rtt).count()));
  }
  consider();
}

void PathFollower::probe_unanswered(Candidate& candidate) {
  forget_probe(candidate);
  ++candidate.unanswered;
  if (candidate.unanswered < kProbeTries) {
    candidate.next_probe = pool_.runtime.now();
    return;
  }
  candidate.facts.reach = Reach::unreachable;
  candidate.first_answer = std::nullopt;
  candidate.facts.stable_for = Duration::zero();
  const int more = std::min(candidate.unanswered - kProbeTries, 5);
  candidate.next_probe = pool_.runtime.now() + std::min(kProbeAgain * (1 << more), kMaxProbeAgain);
}

void PathFollower::forget_probe(Candidate& candidate) {
  if (candidate.probe != 0)
    pool_.endpoint->endpoint().forget_probe(std::exchange(candidate.probe, 0));
}

// ---- moving -------------------------------------------------------------------------------------

void PathFollower::move(Candidate& target) {
  const bool at_once = path_ != Path::good;
  if (!bind(target)) {
    try_again_ = pool_.runtime.now() + kMigrateAgain;
    return;
  }
  const Result<void> begun = connection_.migrate(target.socket, at_once);
  if (!begun) return cannot_move(target, begun.error());
  try_again_ = kNever;
  blocked_told_ = false;
  pinned_ = unfollowed_ = false;
  moved_ = true;
  target_ = target.facts.index;
  target_unprobed_ = at_once;
  forget_probe(target);
  target.next_probe = kNever;
  hooks_.tell(ClientEvent::Type::migrating,
              fmt::format("{}, {}", describe(target),
                          !at_once              ? "when it is validated"
                          : path_ == Path::gone ? "at once: the old address is gone"
                                                : "at once: the old path is silent"));
  if (!at_once) return;
  // Traffic is there already; what comes of it, validation and the monitor tell.
  current_ = target_;
  in_use_ = target.socket;
  path_ = Path::good;
}

void PathFollower::cannot_move(Candidate& target, const Error& why) {
  const Timestamp now = pool_.runtime.now();
  if (why.is(Code::unsupported)) {
    if (!std::exchange(forbidden_, true)) {
      hooks_.tell(ClientEvent::Type::migration_failed, why.detail);
    }
    ask_for_replacement();
    return;
  }
  if (!connection_.handshake_confirmed()) {
    if (path_ == Path::gone) hooks_.lost("its network is gone before the handshake was confirmed");
    return;
  }
  if (!std::exchange(blocked_told_, true)) {
    hooks_.tell(ClientEvent::Type::migration_failed, describe(target) + ": " + why.detail);
  }
  try_again_ = now + (path_ == Path::good ? kReturnAgain : kMigrateAgain);
}

void PathFollower::lose_path(Path how, std::string text) {
  path_ = how;
  silent_since_ = pool_.runtime.now();
  if (Candidate* failed = current(); failed != nullptr) fail(*failed);
  hooks_.tell(ClientEvent::Type::path_lost, std::move(text));
}

/// What is known of it is void.
void PathFollower::fail(Candidate& candidate) {
  forget_probe(candidate);
  note_failure(candidate.facts.index);
  candidate.first_answer = std::nullopt;
  candidate.facts.stable_for = Duration::zero();
  candidate.facts.rtt = std::nullopt;
  candidate.facts.reach = Reach::unknown;
  candidate.unanswered = 0;
  candidate.next_probe = kNever;
  candidate.socket = udp::Address();  // the next try has a port of its own
}

void PathFollower::note_failure(std::uint32_t index) {
  History& history = history_[index];
  ++history.failures;
  history.failed_at = pool_.runtime.now();
}

void PathFollower::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  switch (event.type) {
    case Type::handshake_confirmed: return networks_changed();
    case Type::path_validated: return path_validated();
    case Type::path_failed: return path_failed();
    case Type::path_silent: {
      if (path_ != Path::good) return;
      const Candidate* silent = current();
      lose_path(Path::silent,
                (silent != nullptr ? describe(*silent) : in_use_.ip_string()) + " is silent");
      return consider();
    }
    case Type::path_heard:
      if (path_ == Path::silent) path_ = Path::good;
      unfollowed_ = false;
      if (Candidate* heard = current(); heard != nullptr) heard->facts.reach = Reach::reachable;
      return consider();
    case Type::path_changed:
      in_use_ = connection_.path().local;
      return networks_changed();  // the server's preferred address may be another family's
    default: return;
  }
}

void PathFollower::path_validated() {
  Candidate* validated = find(std::exchange(target_, 0));
  in_use_ = connection_.path().local;
  if (validated != nullptr) {
    current_ = validated->facts.index;
    validated->facts.reach = Reach::reachable;
    path_ = Path::good;
  }
  pool_.close_unused_sockets_soon();
  consider();
}

void PathFollower::path_failed() {
  Candidate* failed = find(std::exchange(target_, 0));
  const bool in_use = std::exchange(target_unprobed_, false);
  if (failed == nullptr) return;
  hooks_.tell(ClientEvent::Type::migration_failed,
              describe(*failed) + ": the server does not answer");
  unfollowed_ = in_use;
  if (in_use && path_ == Path::good) {
    lose_path(Path::silent, describe(*failed) + " is silent");
  } else if (!in_use) {
    fail(*failed);
    failed->facts.reach = Reach::unreachable;
  }
  consider();
}

void PathFollower::pin(const udp::Address& local) {
  pinned_ = true;
  target_ = 0;
  moved_ = true;
  if (local.is_wildcard()) return;
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [&](const auto& entry) { return entry.address.same_ip(local); });
  if (found != candidates_.end()) found->socket = local;
}

}  // namespace tern
