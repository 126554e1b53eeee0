#include "gateway/handed_listeners.h"

#include <algorithm>
#include <fcntl.h>

namespace tern {

void HandedListeners::note(const udp::Address& local, std::size_t place, int descriptor) {
  auto kept = std::make_shared<engine::Descriptors>();
  // Without one the next process will lack a listener, and open another in its place.
  if (const int own = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0); own >= 0) kept->add(own);
  const std::lock_guard lock(mutex_);
  auto group = std::find_if(groups_.begin(), groups_.end(),
                            [&](const Group& candidate) { return candidate.local == local; });
  if (group == groups_.end()) group = groups_.insert(group, {local, {}});
  if (group->sockets.size() <= place) group->sockets.resize(place + 1);
  group->sockets[place] = std::move(kept);
}

void HandedListeners::forget(const udp::Address& local) {
  const std::lock_guard lock(mutex_);
  std::erase_if(groups_, [&](const Group& group) { return group.local == local; });
}

void HandedListeners::keep(const std::vector<udp::Address>& addresses) {
  const std::lock_guard lock(mutex_);
  std::erase_if(groups_, [&](const Group& group) {
    return std::find(addresses.begin(), addresses.end(), group.local) == addresses.end();
  });
}

std::vector<HandedListeners::Group> HandedListeners::all() const {
  const std::lock_guard lock(mutex_);
  return groups_;
}

engine::Descriptors& HandedListeners::offered(const udp::Address& address) {
  for (auto& [local, descriptors] : offered_) {
    if (local == address) return descriptors;
  }
  return offered_.emplace_back(address, engine::Descriptors()).second;
}

std::optional<udp::Address> HandedListeners::find_offered(const udp::Address& wanted) const {
  for (const auto& [local, descriptors] : offered_) {
    const bool free = std::find(taken_.begin(), taken_.end(), local) == taken_.end();
    if (local == wanted || (wanted.port() == 0 && wanted.same_ip(local) && free)) return local;
  }
  return std::nullopt;
}

}  // namespace tern
