#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "transport/udp/interfaces.h"

namespace tern {

/// A network that a connection is on, or could be on.
struct NetworkCandidate {
  enum class Reach : std::uint8_t {
    unknown,      ///< not asked yet, or not answered yet
    reachable,    ///< the server answers through it
    unreachable,  ///< it does not: out of range, or a captive portal that lets no UDP through
  };

  std::uint32_t index = 0;  ///< of the interface
  udp::InterfaceKind kind = udp::InterfaceKind::other;
  std::uint32_t metric = 0;        ///< of the default route
  bool system_choice = false;      ///< the system would send there from here
  Reach reach = Reach::unknown;    ///< of the one in use: reachable while it delivers
  std::optional<Duration> rtt;     ///< of the last answer
  Duration stable_for{};           ///< between the first and the last answer of an unbroken row
  std::uint32_t failures = 0;      ///< how often it failed under this connection
  std::optional<Duration> failed;  ///< how long ago it last did
};

/// What a policy decides about: one connection.
struct NetworkView {
  enum class Path : std::uint8_t {
    good,
    silent,  ///< nothing has come for a PTO though something should
    gone,    ///< its address or interface is gone
  };
  Path path = Path::good;
  std::optional<std::size_t> in_use;  ///< of the candidates; unset when it is gone
  std::span<const NetworkCandidate> candidates;
};

struct NetworkChoice {
  /// Where to be. The one in use, or unset: stay. A path that is good is left when the new one has
  /// been validated, any other at once.
  std::optional<std::size_t> use;
  /// What to keep ready for when the path in use dies: it is probed now and then. Unset: nothing.
  std::optional<std::size_t> spare;
  /// Others to ask now and then whether they answer (again): those that would be better than the
  /// one in use, if only they worked.
  std::vector<std::size_t> ask;
};

/// Decides which of its networks a connection uses. Asked when networks come, go or fail, and when
/// a probe is answered or has not been. Stateless, so that many connections may share one; called
/// in the turn, and must not call the client.
class NetworkPolicy {
 public:
  virtual ~NetworkPolicy() = default;
  virtual NetworkChoice choose(const NetworkView& view) const = 0;

  /// The default. Prefers what the system does (its route to the server, then the metric, which
  /// also keeps to a VPN), then wired to Wi-Fi to cellular; keeps the next best as a spare. Goes
  /// there when the path in use is silent or gone; comes back when the preferred one has answered
  /// for kSettle, and twice as long for each time it failed before, up to sixteen times.
  static std::shared_ptr<const NetworkPolicy> standard();
  /// Leaves cellular as soon as the server answers through anything else, and keeps no spare on it.
  static std::shared_ptr<const NetworkPolicy> cheapest();
  /// Stays where it is, whatever happens; nothing is watched or probed.
  static std::shared_ptr<const NetworkPolicy> never();

  static constexpr Duration kSettle = std::chrono::seconds(3);
};

}  // namespace tern
