#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "http/alt_svc.h"

namespace tern {

/// The server wants the request over HTTP/1.1: HTTP_1_1_REQUIRED, of a stream or of the whole
/// connection (RFC 9113 §7), or H3_VERSION_FALLBACK (RFC 9114 §8.1). Their numbers do not meet.
bool wants_http1(const Error& error) noexcept;

/// What a client knows of where HTTP/3 leads: which origins offer it (RFC 7838), where UDP did not
/// get through, and who wants HTTP/1.1 instead. The entries used least recently make room beyond
/// kMaxEntries. Belongs to one thread.
class Http3Knowledge {
 public:
  static constexpr std::size_t kMaxEntries = 1024;
  /// After a failure HTTP/3 is not tried from the same network for this long, twice that after the
  /// next, and so on.
  static constexpr Duration kAvoidFirst = std::chrono::minutes(5);
  static constexpr Duration kAvoidMost = std::chrono::hours(24);
  /// Who has asked for HTTP/1.1 gets nothing else for this long.
  static constexpr Duration kHttp1For = std::chrono::hours(1);

  /// An `alt-svc` field came with a response from `origin`.
  void heard(const std::string& origin, std::string_view alt_svc, Timestamp now);
  /// Where the origin offers HTTP/3, if it has said so and that is still good.
  std::optional<http::AltService> offer(const std::string& origin, Timestamp now);
  /// The network is another: offers are forgotten unless they were meant for every network
  /// (RFC 7838 §2.2).
  void network_changed();

  /// `network` names the one in use.
  void failed(const std::string& network, const std::string& origin, Timestamp now);
  void worked(const std::string& network, const std::string& origin);
  /// Not before that, from there; in the past when nothing speaks against it.
  Timestamp avoid_until(const std::string& network, const std::string& origin);

  /// `origin` has answered HTTP_1_1_REQUIRED or H3_VERSION_FALLBACK (RFC 9113 §7, RFC 9114 §8.1).
  void require_http1(const std::string& origin, Timestamp now);
  /// It has, not long ago.
  bool http1_required(const std::string& origin, Timestamp now);

 private:
  struct Offer {
    std::string origin;
    http::AltService service;
    Timestamp expires;
  };
  struct Failure {
    std::string network;
    std::string origin;
    Timestamp until;
    Duration span;
  };
  struct Requirement {
    std::string origin;
    Timestamp expires;
  };
  std::list<Failure>::iterator find(const std::string& network, const std::string& origin);

  std::list<Offer> offers_;  // used last first
  std::list<Failure> failures_;
  std::list<Requirement> http1_;  // the newest first
};

}  // namespace tern
