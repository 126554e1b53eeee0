#include "webtransport/session_tally.h"

namespace tern::webtransport {

namespace {

std::size_t count_of(const SessionTally::Counts& counts, std::string_view key) {
  const auto found = counts.find(std::string(key));
  return found == counts.end() ? 0 : found->second;
}

void subtract(SessionTally::Counts& counts, SessionTally::Count& one) {
  if (--one.second == 0) counts.erase(counts.find(one.first));
}

}  // namespace

SessionTally::Lease::~Lease() {
  if (tally_ != nullptr) tally_->give_back(*this);
}

std::string_view SessionTally::refusal(std::string_view connection, std::string_view origin) const {
  const std::lock_guard lock(mutex_);
  if (most_a_connection_ > 0 && count_of(by_connection_, connection) >= most_a_connection_) {
    return "too many sessions on one connection";
  }
  const bool counted = most_an_origin_ > 0 && !origin.empty();
  if (counted && count_of(by_origin_, origin) >= most_an_origin_) {
    return "too many sessions of pages of this origin";
  }
  return {};
}

SessionTally::Lease SessionTally::take(std::string_view connection, std::string_view origin) {
  Lease lease;
  lease.tally_ = shared_from_this();
  const std::lock_guard lock(mutex_);
  lease.connection_ = &*by_connection_.try_emplace(std::string(connection), 0).first;
  ++lease.connection_->second;
  if (!origin.empty()) {
    lease.origin_ = &*by_origin_.try_emplace(std::string(origin), 0).first;
    ++lease.origin_->second;
  }
  return lease;
}

void SessionTally::give_back(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  subtract(by_connection_, *lease.connection_);
  if (lease.origin_ != nullptr) subtract(by_origin_, *lease.origin_);
}

}  // namespace tern::webtransport
