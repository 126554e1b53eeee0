#include "tools/tern/webtransport_echo.h"

#include <memory>
#include <utility>

#include "base/scope.h"

namespace tern::cli {
namespace {

using webtransport::Session;
using webtransport::Stream;

Task<void> send_back(std::unique_ptr<Stream> from, Stream& to) {
  for (;;) {
    Result<Bytes> piece = co_await from->read();
    if (!piece) {
      to.reset(from->reset_code().value_or(0));
      co_return;
    }
    if (piece->empty()) break;
    const Result<void> written = co_await to.write(std::move(*piece));
    if (written) continue;
    from->stop_sending(to.stop_code().value_or(0));
    co_return;
  }
  co_await to.finish();
}

Task<void> echo_bidirectional(std::unique_ptr<Stream> stream) {
  Stream& same = *stream;
  co_await send_back(std::move(stream), same);
}

Task<void> echo_unidirectional(Session& session, std::unique_ptr<Stream> stream) {
  const Result<std::unique_ptr<Stream>> back = co_await session.open_unidirectional();
  if (!back) co_return;
  co_await send_back(std::move(stream), **back);
}

void answer(Session& session, std::unique_ptr<Stream> stream, Scope& scope) {
  if (stream->direction() == webtransport::Direction::bidirectional) {
    scope.spawn(echo_bidirectional(std::move(stream)));
  } else {
    scope.spawn(echo_unidirectional(session, std::move(stream)));
  }
}

}  // namespace

Task<void> webtransport_echo(Session& session) {
  Scope scope(session.runtime().ready());
  for (;;) {
    Session::Arrival arrival = co_await session.next();
    if (!arrival) break;
    if (arrival.datagram) {
      session.send_datagram(std::move(*arrival.datagram));
    } else {
      answer(session, std::move(arrival.stream), scope);
    }
  }
}

}  // namespace tern::cli
