#pragma once

#include <algorithm>

#include "base/time.h"

namespace tern::engine {

/// Whether a wait looks for what comes again and again for a while before it sleeps.
///
/// To sleep and be woken costs some 20 µs, in CPU time and in the other side's waiting, more than
/// to answer a small request. So when waits are short, as between two sides that take turns,
/// polling costs no more and each turn takes a third of the time. Where they are not it would only
/// burn a core. So polls begin with a trial after kFew sleeps in a row that were short, and go on
/// while two in three end within half of the longest that is allowed. A trial fails after kTrial
/// polls: so many, because until the other side polls as well each one has its wake-up to wait for,
/// and who is like us tries at much the same time. The next trial then waits for twice as many
/// short sleeps, kMany in the end. It belongs to one thread, the one that waits on its network.
class BusyPoll {
 public:
  static constexpr int kFew = 8;
  static constexpr int kMany = 4096;
  static constexpr int kTrial = 32;

  /// Of one poll; zero: none at all.
  explicit BusyPoll(Duration longest) noexcept : longest_(longest) {}

  bool wanted() const noexcept { return longest_ > Duration::zero() && skip_ == 0; }
  Duration longest() const noexcept { return longest_; }

  /// A poll has ended: something has come after `took`, or nothing has.
  void polled(Duration took, bool came) noexcept {
    if (came && took <= longest_ / 2) {
      score_ = std::min(score_ + 1, kBest);
      if (score_ == kBest) next_skip_ = kFew;
    } else if ((score_ -= kBad) <= 0) {
      skip_ = next_skip_;
      next_skip_ = std::min(2 * next_skip_, kMany);
      score_ = kTrial * kBad;
    }
  }

  /// A sleep without a poll before it has ended. Twice the longest poll is short: the sleep's own
  /// end is part of it, and maybe another one's on the other side.
  void slept(Duration took) noexcept {
    if (took > 2 * longest_) {
      skip_ = std::max(skip_, kFew);
    } else if (skip_ > 0) {
      --skip_;
    }
  }

 private:
  static constexpr int kBad = 2;
  static constexpr int kBest = kTrial * kBad + 4;

  Duration longest_;
  int score_ = kTrial * kBad;
  int skip_ = kFew;           // short sleeps until polls begin
  int next_skip_ = 2 * kFew;  // the same after a trial that has failed
};

}  // namespace tern::engine
