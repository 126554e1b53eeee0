#include "webtransport/session_tally.h"

namespace tern::webtransport {

namespace {

template <typename Map, typename Key>
std::size_t count_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? 0 : found->second;
}

template <typename Map, typename Key>
void subtract(Map& map, const Key& key) {
  const auto found = map.find(key);
  if (--found->second == 0) map.erase(found);
}

}  // namespace

SessionTally::Lease::~Lease() {
  if (tally_ != nullptr) tally_->give_back(*this);
}

std::string_view SessionTally::refusal(std::string_view connection, std::string_view origin) const {
  const std::lock_guard lock(mutex_);
  if (most_a_connection_ > 0 &&
      count_of(by_connection_, std::string(connection)) >= most_a_connection_) {
    return "too many sessions on one connection";
  }
  const bool counted = most_an_origin_ > 0 && !origin.empty();
  if (counted && count_of(by_origin_, std::string(origin)) >= most_an_origin_) {
    return "too many sessions of pages of this origin";
  }
  return {};
}

SessionTally::Lease SessionTally::take(std::string_view connection, std::string_view origin) {
  Lease lease;
  lease.tally_ = shared_from_this();
  lease.connection_ = connection;
  lease.origin_ = origin;
  const std::lock_guard lock(mutex_);
  ++by_connection_[lease.connection_];
  if (!origin.empty()) ++by_origin_[lease.origin_];
  return lease;
}

void SessionTally::give_back(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  subtract(by_connection_, lease.connection_);
  if (!lease.origin_.empty()) subtract(by_origin_, lease.origin_);
}

}  // namespace tern::webtransport
