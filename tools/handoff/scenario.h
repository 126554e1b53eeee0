#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/time.h"
#include "tools/handoff/bound.h"

namespace tern::handoff {

class Stage;

/// A story of a phone and its networks.
struct Scenario {
  std::string_view name;   ///< "sudden-cut", as on the command line
  std::string_view title;  ///< one line
  std::string_view story;  ///< a paragraph: what happens, and what to look at
  /// Builds the networks and says what happens when.
  void (*play)(Stage& stage);

  /// Connections that the migrating carrier makes, each phone; 0: not promised.
  unsigned handshakes = 1;
  /// The migrating carrier fails no request.
  bool unbroken = true;
  /// What each of its handoffs may cost the migrating carrier.
  Bound bound = Bound::none;
  /// Of many seeds of all scenarios it runs one in so many: a crowd is many worlds in one.
  std::uint64_t share = 1;
  /// It is about its streams: they are followed and reported one by one.
  bool streams = false;
};

/// Every scenario, in the order in which they are listed.
std::span<const Scenario> scenarios() noexcept;
const Scenario* find_scenario(std::string_view name) noexcept;

}  // namespace tern::handoff
