#include "base/counters.h"

#include <algorithm>
#include <mutex>

namespace tern {

namespace {

/// Held while any registry grows, or is read by whoever looks on: some counters are there only when
/// something has happened. To find one that is there takes no lock, as nobody else adds to it.
std::mutex growing;

}  // namespace

Counter& Counters::at(std::string_view name) {
  for (Named& named : counters_) {
    if (named.name == name) return named.counter;
  }
  const std::lock_guard lock(growing);
  Named& added = counters_.emplace_back();
  added.name = name;
  return added.counter;
}

std::vector<std::pair<std::string, std::uint64_t>> Counters::snapshot() const {
  std::vector<std::pair<std::string, std::uint64_t>> values;
  {
    const std::lock_guard lock(growing);
    values.reserve(counters_.size());
    for (const Named& named : counters_) values.emplace_back(named.name, named.counter.value());
  }
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace tern
