#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tern::webtransport {

/// How many sessions of one place are open, by connection and by the origin of the page. Shared by
/// all workers of a server: thread-safe.
class SessionTally : public std::enable_shared_from_this<SessionTally> {
 public:
  /// 0: no limit.
  SessionTally(std::size_t a_connection, std::size_t an_origin) noexcept
      : most_a_connection_(a_connection), most_an_origin_(an_origin) {}

  using Counts = std::unordered_map<std::string, std::size_t>;
  using Count = Counts::value_type;

  /// Holds a session's place until it goes.
  class Lease {
   public:
    Lease() noexcept = default;
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) noexcept = default;  // to one that holds nothing
    ~Lease();

   private:
    friend class SessionTally;
    std::shared_ptr<SessionTally> tally_;  // null: nothing is held
    Count* connection_ = nullptr;          // the tally's
    Count* origin_ = nullptr;              // null: not counted
  };

  /// Why there may be no session more; empty when there may. `connection` is only compared; an
  /// empty origin, a program's, is not counted.
  std::string_view refusal(std::string_view connection, std::string_view origin) const;
  /// Takes a place whether there is one or not: ask `refusal` before.
  Lease take(std::string_view connection, std::string_view origin);

 private:
  void give_back(const Lease& lease);

  const std::size_t most_a_connection_;
  const std::size_t most_an_origin_;
  mutable std::mutex mutex_;
  Counts by_connection_;
  Counts by_origin_;
};

}  // namespace tern::webtransport
