#include "tools/tern/webtransport_echo.h"

#include <memory>
#include <utility>

#include "base/scope.h"

namespace tern::cli {
namespace {

using webtransport::Session;
using webtransport::Stream;

Task<void> echo(std::unique_ptr<Stream> from, Stream& to) {
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
  co_await echo(std::move(stream), same);
}

Task<void> echo_unidirectional(Session& session, std::unique_ptr<Stream> stream) {
  const Result<std::unique_ptr<Stream>> back = co_await session.open_unidirectional();
  if (!back) co_return;
  co_await echo(std::move(stream), **back);
}

// Three tasks that wait for as long as the session lives: spawned directly, they cost least.
Scope::Spawned accept_bidirectional(Scope& scope, Session& session) {
  while (auto stream = co_await session.accept_bidirectional()) {
    scope.spawn(echo_bidirectional(std::move(stream)));
  }
}

Scope::Spawned accept_unidirectional(Scope& scope, Session& session) {
  while (auto stream = co_await session.accept_unidirectional()) {
    scope.spawn(echo_unidirectional(session, std::move(stream)));
  }
}

Scope::Spawned echo_datagrams(Scope&, Session& session) {
  while (auto datagram = co_await session.receive_datagram()) {
    session.send_datagram(std::move(*datagram));
  }
}

}  // namespace

Task<void> webtransport_echo(Session& session) {
  Scope scope(session.runtime().ready());
  accept_bidirectional(scope, session);
  accept_unidirectional(scope, session);
  echo_datagrams(scope, session);
  co_await session.wait_until_ended();
}

}  // namespace tern::cli
