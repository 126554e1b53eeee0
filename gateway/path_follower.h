#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/timer_heap.h"
#include "gateway/client_options.h"
#include "gateway/network_policy.h"
#include "transport/quic/connection.h"
#include "transport/udp/interfaces.h"

namespace tern {

class ClientPool;

/// Keeps one connection of a client on the right network: knows what networks there are for it,
/// probes the spare one, asks the policy, and migrates. Owned by the QuicOriginConnection, used
/// from the confirmation of the handshake on; before that a path that dies means another attempt.
class PathFollower {
 public:
  /// An unanswered probe is given up after that, and after twice and four times that; then the
  /// network counts as unreachable and is asked again after kProbeAgain, twice that …
  static constexpr Duration kProbeTimeout = std::chrono::seconds(1);
  static constexpr int kProbeTries = 3;
  static constexpr Duration kProbeAgain = std::chrono::seconds(10);
  static constexpr Duration kMaxProbeAgain = std::chrono::minutes(2);
  /// One that answered is asked again after NetworkPolicy::kSettle, twice that … at most:
  static constexpr Duration kMaxProbeInterval = std::chrono::minutes(10);
  /// A connection is given up whose path is gone this long, though there are networks, to which it
  /// may not move, and a new connection over them did not come about either.
  static constexpr Duration kMaxSilence = std::chrono::seconds(3);
  /// When a migration cannot begin now (no connection ID to spare): the next try, with a path in
  /// use that is dead, or good.
  static constexpr Duration kMigrateAgain = std::chrono::milliseconds(100);
  static constexpr Duration kReturnAgain = std::chrono::seconds(10);

  /// What it has of its connection's owner.
  struct Hooks {
    std::function<void(ClientEvent::Type, std::string)> tell;
    /// Requests are open.
    std::function<bool()> expecting;
    /// There is no way on for the connection.
    std::function<void(std::string why)> lost;
    /// The path has failed, and migration leads nowhere, but a new connection may: through any
    /// interface but `avoided` (0: over any). What becomes of it is told by `not_replaced`, or by
    /// the end.
    std::function<void(std::uint32_t avoided, std::string why)> replace;
  };

  PathFollower(ClientPool& pool, quic::Connection& connection, Hooks hooks);
  ~PathFollower();

  /// The interfaces have changed, or are looked at for the first time.
  void networks_changed();
  void handle(const quic::Event& event);
  /// The caller has moved the connection himself: it stays there while that works.
  void pin(const udp::Address& local);
  /// It waits for a new connection to take its place, or for its path to work again.
  bool stranded() const noexcept { return replacing_ && path_ != NetworkView::Path::good; }
  /// The new connection did not come about.
  void not_replaced();
  /// Its network failed it: it is silent or gone, or it has moved before.
  bool troubled() const noexcept { return path_ != NetworkView::Path::good || moved_; }
  /// A socket of its own is bound there.
  bool uses(const udp::Address& local) const noexcept;

 private:
  struct Candidate {
    NetworkCandidate facts;
    std::string name;
    udp::Address address;  // port 0
    udp::Address socket;   // bound; unspecified: not yet
    std::uint64_t probe = 0;
    Timestamp probe_sent{};
    Timestamp next_probe = kNever;
    int unanswered = 0;  // in a row
    std::optional<Timestamp> first_answer;
    Duration interval{};  // to the next probe
  };
  /// Of an interface, whatever its addresses.
  struct History {
    std::uint32_t failures = 0;
    Timestamp failed_at{};
  };

  void refresh();
  void consider();
  NetworkChoice ask_policy();
  void keep_asking(const NetworkChoice& choice);
  void move(Candidate& target);
  void cannot_move(Candidate& target, const Error& why);
  bool bind(Candidate& candidate);
  void send_probe(Candidate& candidate);
  void probe_answered(std::uint32_t index, Timestamp now);
  void probe_unanswered(Candidate& candidate);
  void forget_probe(Candidate& candidate);
  void fail(Candidate& candidate);
  void note_failure(std::uint32_t index);
  void path_validated();
  void path_failed();
  void lose_path(NetworkView::Path how, std::string text);
  Candidate* find(std::uint32_t index) noexcept;
  Candidate* current() noexcept;
  std::string describe(const Candidate& candidate) const;
  bool can_move() const noexcept;
  bool leads_elsewhere() const noexcept;
  void ask_for_replacement();
  std::string why_replaced() const;
  void give_up_if_hopeless();
  void arm();

  ClientPool& pool_;
  quic::Connection& connection_;
  Hooks hooks_;
  Timer timer_;
  std::vector<Candidate> candidates_;
  std::map<std::uint32_t, History> history_;  // of those that failed, by index
  std::uint32_t current_ = 0;                 // the interface in use; 0: none of the candidates
  udp::Address in_use_;                       // the address in use
  std::uint32_t target_ = 0;                  // being migrated to
  bool target_unprobed_ = false;
  NetworkView::Path path_ = NetworkView::Path::good;
  Timestamp silent_since_{};
  Timestamp try_again_ = kNever;
  bool blocked_told_ = false;
  bool watching_ = false;
  bool pinned_ = false;
  bool moved_ = false;
  bool forbidden_ = false;            // the server disabled active migration
  bool unfollowed_ = false;           // it has not answered where the path in use was moved to
  bool replacing_ = false;            // a new connection is being made
  Timestamp replace_again_ = kNever;  // when it has failed
};

}  // namespace tern
