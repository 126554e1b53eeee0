#include "gateway/racing_connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/host_addresses.h"

namespace tern {

bool RacingConnection::usable() const noexcept {
  if (establishing()) return true;
  return session() != nullptr && !goaway_ && session()->accepts_requests();
}

void RacingConnection::close() {
  given_up_ = true;
  if (http::Session* const open = session()) return open->close();
  give_up_attempts();
  changed_.notify_all();
}

void RacingConnection::tell_resolved(const ServicePlace& place) {
  if (!resolved_at_) resolved_at_ = pool_.runtime.now();
  tell(ClientEvent::Type::resolved,
       join(place.addresses) + (place.by_record ? " by its HTTPS record" : ""));
}

std::vector<RacingConnection::Target> RacingConnection::targets_for(
    const std::vector<udp::Address>& addresses) const {
  std::vector<Target> targets;
  const Duration delay = pool_.options.address_delay();
  for (const udp::Address& address : addresses) {
    if (pool_.may_send_to(address)) targets.push_back({address, 0, delay});
  }
  // Of the other family alone: the attempt says so.
  if (targets.empty()) targets.push_back({addresses.front(), 0, delay});
  const std::size_t networks = std::min(kMaxNetworks, pool_.networks_to(addresses.front()));
  for (std::size_t i = 1; i < networks; ++i) {
    targets.push_back({addresses.front(), i, kNetworkDelay});
  }
  return targets;
}

Task<Result<void>> RacingConnection::race(std::vector<Target> targets, std::string awaited) {
  Runtime& runtime = pool_.runtime;
  Timer timer(runtime.timers(), [this](Timestamp) { changed_.notify_all(); });
  Timestamp next_start = runtime.now();
  const Timestamp patience = runtime.now() + ServiceRecords::kPatience;
  const auto wake = [this, weak = weak_from_this()] {
    if (weak.lock() != nullptr) changed_.notify_all();
  };
  if (!awaited.empty()) pool_.services.when_answered(awaited, wake);
  std::size_t begun = 0;
  while (session() == nullptr) {
    if (given_up_) co_return fail(Error::closed("the client was closed"));
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
      if (attempts_[i]->take()) co_return Result<void>();
    }
    if (!awaited.empty() && runtime.now() >= patience) awaited.clear();
    if (!awaited.empty() && pool_.services.find(awaited) != nullptr) {
      Task<std::string> looking = go_by_records(targets, begun);
      awaited = co_await looking;
      if (!awaited.empty()) pool_.services.when_answered(awaited, wake);
      next_start = runtime.now();
      continue;
    }
    const bool running = std::any_of(attempts_.begin(), attempts_.end(),
                                     [](const auto& entry) { return !entry->failure; });
    const bool more = begun < targets.size();
    // RFC 8305 §5: the next one starts when its time has come, or the one before it has failed.
    const bool last_failed = attempts_.empty() || attempts_.back()->failure.has_value();
    if (more && (last_failed || runtime.now() >= next_start)) {
      const bool other_address =
          begun + 1 < targets.size() && targets[begun + 1].remote != targets[begun].remote;
      attempt(targets[begun], other_address);
      ++begun;
      if (begun < targets.size()) next_start = runtime.now() + targets[begun].after;
      continue;
    }
    if (!running && awaited.empty()) co_return fail(why_none_connected());
    timer.arm(std::min(more ? next_start : kNever, awaited.empty() ? kNever : patience));
    co_await changed_.wait();
  }
  co_return Result<void>();
}

Task<std::string> RacingConnection::go_by_records(std::vector<Target>& targets, std::size_t next) {
  Result<ServicePlace> place = co_await find();
  if (!place) co_return std::string();
  std::erase_if(place->addresses, [&](const udp::Address& address) {
    return std::any_of(targets.begin(), targets.end(),
                       [&](const Target& target) { return target.remote == address; });
  });
  if (place->by_record && !place->addresses.empty()) {
    tell_resolved(*place);
    const std::vector<Target> found = targets_for(place->addresses);
    targets.insert(targets.begin() + static_cast<std::ptrdiff_t>(next), found.begin(), found.end());
  }
  co_return std::move(place->awaited);
}

/// Whoever answered knows best what is wrong; else the first address, which people expect to work.
Error RacingConnection::why_none_connected() const {
  const auto answered = std::find_if(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    return entry->failure->domain != Domain::os && !entry->failure->is(Code::timed_out);
  });
  if (answered != attempts_.end()) return *(*answered)->failure;
  return silence(*attempts_.front()->failure, attempts_.front()->remote);
}

Error RacingConnection::silence(Error error, const udp::Address& remote) const {
  error.detail = "cannot connect to " + remote.to_string() + ": " + error.detail;
  return error;
}

void RacingConnection::abandon_cut_off() {
  const Error error(Domain::os, ENETDOWN, "the network it was to go over is gone");
  for (const auto& entry : attempts_) {
    const udp::Address& local = entry->local;
    const bool known = local.specified() && !local.is_wildcard();
    if (!entry->failure && known && pool_.interfaces.owner(local) == nullptr) {
      entry->abandon(error);
    }
  }
}

}  // namespace tern
