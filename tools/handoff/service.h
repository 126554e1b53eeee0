#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "http/exchange.h"
#include "http/router.h"
#include "tools/handoff/transfer.h"

namespace tern::handoff {

class Stage;

/// The application on the server, the same on every carrier: it sends what is downloaded and takes
/// what is uploaded.
///
///   GET /down/ID/ATTEMPT/OFFSET   the transfer's bytes from there on
///   PUT /up/ID/ATTEMPT/OFFSET     the same in the other direction; 409 unless it has as many
///   GET /have/ID/ATTEMPT          how many bytes of an upload it has
///
///   /session                      the same over WebTransport (session_transfer.h)
///   /tern.handoff.v1.Transfers/…  the same as calls, and conversations (rpc_transfer.h)
///
/// A newer attempt at an upload ends the older one, as with resumable uploads
/// (draft-ietf-httpbis-resumable-upload §4.6): no byte is taken twice.
class Service {
 public:
  explicit Service(Stage& stage);

  http::Router& router() noexcept { return router_; }

  // The same for carriers that do not speak HTTP/3.
  /// Notes that an attempt's request has arrived. Each may arrive once.
  void arrived(std::string_view what, std::uint64_t id, std::uint64_t attempt);
  /// An upload goes on at `offset`; false: that is not where it stands.
  bool begin_upload(std::uint64_t id, std::uint64_t attempt, std::uint64_t offset);
  /// How much of an upload is there. The older attempt ends with the question.
  std::uint64_t have(std::uint64_t id, std::uint64_t attempt);
  /// The piece is the application's now; false: it is not what comes next, or a newer attempt has
  /// taken over.
  bool take(std::uint64_t id, std::uint64_t attempt, ByteView piece);
  Transfer* find(std::uint64_t id);
  /// The story's time.
  Duration now() const;

 private:
  Task<void> send(http::Exchange& exchange);
  Task<void> receive(http::Exchange& exchange);
  Task<void> tell(http::Exchange& exchange);

  Stage& stage_;
  http::Router router_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen_;      // transfer and attempt
  std::unordered_map<std::uint64_t, std::uint64_t> uploading_;  // transfer → attempt
};

}  // namespace tern::handoff
