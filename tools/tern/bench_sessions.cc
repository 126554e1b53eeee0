#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tools/tern/bench_load.h"
#include "webtransport/client.h"
#include "webtransport/session.h"

/// The part of a load that is WebTransport's.

namespace tern::cli {
namespace {

using webtransport::Session;
using webtransport::Stream;

/// Silence after which the datagrams that are under way are given up for lost.
constexpr Duration kLost = std::chrono::milliseconds(250);
/// A datagram begins with when it was sent.
using Stamp = std::array<char, sizeof(Timestamp::rep)>;

}  // namespace

/// The session of a slot, until the load ends.
Task<void> Load::session_slot(BenchConnection& connection) {
  Result<std::unique_ptr<Session>> opened;
  if (connection.session == nullptr) {
    opened = fail(connection.failure ? *connection.failure : Error::closed());
  } else if (auto exchange = connection.session->open(); !exchange) {
    opened = fail(std::move(exchange).error());
  } else {
    opened = co_await open_session(std::move(*exchange));
  }
  if (!opened) {
    report_->count_error(opened.error());
  } else if (options_.idle) {
    while (!stopping_ && !(*opened)->ended()) co_await changed_.wait();
  } else {
    co_await use(**opened);
  }
  --running_;
  changed_.notify_all();
}

Task<Result<std::unique_ptr<Session>>> Load::open_session(
    std::unique_ptr<http::ClientExchange> exchange) {
  http::RequestHead head = head_;
  const webtransport::ClientOptions options;
  if (options_.protocol != BenchProtocol::http1) {
    webtransport::complete_request(head, options);
    Result<std::unique_ptr<Session>> session =
        co_await webtransport::open_session(std::move(exchange), std::move(head), options);
    co_return session;
  }
  http::WebSocketOptions request = webtransport::websocket_request(options);
  Result<std::unique_ptr<http::WebSocket>> socket =
      co_await http::open_websocket(std::move(exchange), std::move(head), std::move(request));
  if (!socket) co_return fail(std::move(socket).error());
  co_return webtransport::session_over(std::move(*socket), options);
}

/// -m streams at a time, or as many datagrams.
Task<void> Load::use(Session& session) {
  if (options_.datagrams) {
    co_await echo_datagrams(session);
  } else {
    Scope scope(runtime_.ready());
    std::size_t left = options_.streams;
    for (std::size_t i = 0; i < options_.streams; ++i) scope.spawn(stream_slot(session, left));
    while (left != 0) co_await changed_.wait();
  }
}

Task<void> Load::stream_slot(Session& session, std::size_t& left) {
  Timestamp begin{};
  while (!session.ended() && take_ticket(begin)) {
    if (begin > runtime_.now()) co_await runtime_.sleep(begin - runtime_.now());
    const Result<void> outcome = co_await stream_there_and_back(session);
    note(begin, outcome, 0);
  }
  --left;
  changed_.notify_all();
}

/// A bidirectional stream: what we send, and whatever comes back, to the end.
Task<Result<void>> Load::stream_there_and_back(Session& session) {
  Result<std::unique_ptr<Stream>> opened = co_await session.open_bidirectional();
  if (!opened) co_return fail(std::move(opened).error());
  Stream& stream = **opened;
  const Result<void> sent = co_await stream.finish(body_);
  if (!sent) co_return sent;
  for (;;) {
    Result<Bytes> piece = co_await stream.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) co_return Result<void>();
    if (measuring_) report_->bytes += piece->size();
  }
}

/// Keeps -m of them under way. Each says when it was sent, so that one that is lost spoils no
/// other's time.
Task<void> Load::echo_datagrams(Session& session) {
  std::size_t under_way = 0;
  Timestamp heard = runtime_.now();
  Timer timer(runtime_.timers(), [&](Timestamp now) {
    if (under_way > 0 && now - heard >= kLost) {
      lose_datagrams(under_way);
      heard = now;
      send_datagrams(session, under_way);
    }
    timer.arm(now + kLost);
  });
  timer.arm(runtime_.now() + kLost);
  for (;;) {
    send_datagrams(session, under_way);
    if (under_way == 0) break;
    std::optional<Bytes> datagram = co_await session.receive_datagram();
    if (!datagram) break;
    heard = runtime_.now();
    if (under_way > 0) --under_way;
    Stamp stamp{};
    if (datagram->size() < stamp.size()) continue;
    std::memcpy(stamp.data(), datagram->data(), stamp.size());
    Timestamp::rep sent = 0;
    std::memcpy(&sent, stamp.data(), stamp.size());
    if (measuring_) report_->bytes += datagram->size();
    note(Timestamp(Duration(sent)), Result<void>(), 0);
  }
  if (session.ended() && session.closed()->error) report_->count_error(*session.closed()->error);
}

void Load::send_datagrams(Session& session, std::size_t& under_way) {
  Timestamp begin{};
  while (under_way < options_.streams && !session.ended() && take_ticket(begin)) {
    const Timestamp::rep now = runtime_.now().time_since_epoch().count();
    Bytes datagram = Bytes::make(body_.size(), [&](MutableBytes out) {
      std::copy(body_.begin(), body_.end(), out.begin());
      std::memcpy(out.data(), &now, sizeof(now));
      return body_.size();
    });
    if (!session.send_datagram(std::move(datagram))) {
      --tickets_;
      break;
    }
    ++under_way;
  }
}

void Load::lose_datagrams(std::size_t& under_way) {
  for (; under_way > 0; --under_way) {
    ++done_;
    if (measuring_) report_->count_error(Error(Code::timed_out, "a datagram did not come back"));
  }
}

}  // namespace tern::cli
