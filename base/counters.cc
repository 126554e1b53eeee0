#include "base/counters.h"

#include <algorithm>

namespace tern {

Counter& Counters::at(std::string_view name) {
  for (Named& named : counters_) {
    if (named.name == name) return named.counter;
  }
  Named& added = counters_.emplace_back();
  added.name = name;
  return added.counter;
}

std::vector<std::pair<std::string, std::uint64_t>> Counters::snapshot() const {
  std::vector<std::pair<std::string, std::uint64_t>> values;
  values.reserve(counters_.size());
  for (const Named& named : counters_) values.emplace_back(named.name, named.counter.value());
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace tern
