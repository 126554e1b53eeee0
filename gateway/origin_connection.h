#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/task.h"
#include "gateway/broadcast.h"
#include "gateway/client.h"
#include "http/session.h"
#include "http/uri.h"

namespace tern {

class ClientPool;

/// One connection to an origin, whatever it runs over, from the first look-up of its name to its
/// end: what a pool and a request need of it. Owned by the pool and by the requests that use it;
/// its session belongs to the protocol's context and goes when the connection ends.
class OriginConnection : public std::enable_shared_from_this<OriginConnection> {
 public:
  OriginConnection(ClientPool& pool, http::Url url, std::uint64_t id);
  OriginConnection(const OriginConnection&) = delete;
  OriginConnection& operator=(const OriginConnection&) = delete;
  virtual ~OriginConnection();

  /// Resolves, connects, and returns when requests may be opened. Called once, by the pool.
  virtual Task<Result<void>> establish() = 0;
  /// What establish() came to; waits for it.
  Task<Result<void>> ready();
  void finish_establishing(Result<void> outcome);
  bool establishing() const noexcept { return !outcome_.has_value(); }
  bool established() const noexcept { return outcome_ && *outcome_; }
  /// Of a connection that is not establishing any more and did not come about: why.
  const Error& failure() const { return outcome_->error(); }

  /// New requests may go here.
  virtual bool usable() const noexcept = 0;
  virtual bool open() const noexcept = 0;
  /// HTTP/2 or HTTP/1.1, rather than HTTP/3.
  virtual bool over_tcp() const noexcept = 0;
  /// One request at a time: HTTP/1.1.
  virtual bool serial() const noexcept { return false; }
  /// Null before it is open, and after.
  virtual http::Session* session() noexcept = 0;
  const http::Session* session() const noexcept {
    return const_cast<OriginConnection*>(this)->session();
  }

  std::uint64_t id() const noexcept { return id_; }
  const http::Url& url() const noexcept { return url_; }
  const std::string& origin() const noexcept { return origin_; }
  bool early_data() const noexcept { return early_data_; }
  std::optional<Timestamp> resolved_at() const noexcept { return resolved_at_; }
  std::optional<Timestamp> connected_at() const noexcept { return connected_at_; }
  virtual ClientConnectionInfo info() const = 0;
  void count_request() noexcept { ++requests_; }
  std::uint64_t requests() const noexcept { return requests_; }
  void count_answer() noexcept { ++answers_; }
  std::uint64_t answers() const noexcept { return answers_; }

  /// The interfaces are others than they were.
  virtual void networks_changed() = 0;
  /// A datagram socket at `local` is its, or that of its spare path.
  virtual bool uses(const udp::Address&) const noexcept { return false; }
  /// Moves it by the caller's wish. What cannot move stays.
  virtual Result<void> migrate(const udp::Address&, bool) { return {}; }
  virtual Result<void> update_keys() { return {}; }
  /// It ended because its networks failed it, not by anybody's decision.
  bool lost() const noexcept { return lost_; }
  virtual void stop_following() noexcept {}
  /// Another connection is being made because no migration can save this one; new requests wait
  /// for what becomes of it.
  virtual bool stranded() const noexcept { return false; }
  Task<void> replaced();
  /// That one is there, or has failed.
  virtual void succeeded_by(const OriginConnection*) {}
  void tell(ClientEvent::Type type, std::string text = {}) const;

  /// Ends it without fault, or gives up establishing it.
  virtual void close() = 0;

 protected:
  /// Nobody wants what is still being tried.
  virtual void give_up_attempts() noexcept = 0;

  ClientPool& pool_;
  const http::Url url_;
  const std::string origin_;
  const std::uint64_t id_;
  Broadcast changed_;
  std::optional<Result<void>> outcome_;
  bool early_data_ = false;
  bool goaway_ = false;
  bool given_up_ = false;
  bool lost_ = false;
  std::optional<Timestamp> resolved_at_;
  std::optional<Timestamp> connected_at_;
  std::uint64_t requests_ = 0;
  std::uint64_t answers_ = 0;
};

}  // namespace tern
