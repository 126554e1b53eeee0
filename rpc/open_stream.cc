#include "rpc/open_stream.h"

#include <optional>
#include <string>
#include <utility>

#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "rpc/cancel_hook.h"
#include "rpc/client_context.h"
#include "rpc/metadata.h"

namespace tern::rpc {

namespace {

using Stream = std::unique_ptr<WireStream>;

/// "https://host/pkg.Service": what credentials are made for.
std::string service_url(const CallStart& start) {
  std::string url(start.wire.scheme());
  url.append("://").append(start.wire.authority());
  return url.append(start.method.path.substr(0, start.method.path.rfind('/')));
}

Task<Result<Stream>> with_credentials(CallStart start, http::RequestHead head) {
  if (const CallCredentials& credentials = start.context.call_credentials()) {
    if (start.wire.scheme() != "https") {
      co_return fail(Code::unauthenticated, "credentials are not sent without TLS");
    }
    const std::string url = service_url(start);
    Result<Metadata> metadata = co_await credentials(url);
    if (!metadata) co_return fail(std::move(metadata).error());
    metadata->add_to(head.fields);
  }
  tern::Result<Stream> stream = co_await start.wire.open(std::move(head));
  if (!stream) co_return fail(Status::from(stream.error()));
  co_return std::move(*stream);
}

Task<void> run_and_tell(Task<Result<Stream>> task, std::optional<Result<Stream>>& result,
                        Signal& done) {
  result.emplace(co_await task);
  done.notify();
}

}  // namespace

Task<Result<Stream>> open_wire(CallStart start, http::RequestHead head) {
  Runtime& runtime = start.wire.runtime();
  ClientContext& context = start.context;
  if (context.cancelled()) co_return fail(Code::cancelled, "cancelled by the caller");
  const auto end = context.ends_at();
  if (end && *end <= runtime.now())
    co_return fail(Code::deadline_exceeded, "the deadline has passed");

  std::optional<Result<Stream>> result;
  Signal done(runtime);
  Timer timer(runtime.timers(), [&done](Timestamp) { done.notify(); });
  if (end) timer.arm(*end);
  {
    const CancelHook hook(context, done);
    Scope scope(runtime.ready());
    scope.spawn(run_and_tell(with_credentials(start, std::move(head)), result, done));
    co_await done.wait();
  }
  if (context.cancelled()) co_return fail(Code::cancelled, "cancelled by the caller");
  if (!result) co_return fail(Code::deadline_exceeded, "the deadline passed while connecting");
  co_return std::move(*result);
}

std::optional<Result<Stream>> try_open_wire(const CallStart& start, const http::RequestHead& head) {
  const ClientContext& context = start.context;
  if (context.cancelled() || context.call_credentials()) return std::nullopt;
  const auto end = context.ends_at();
  if (end && *end <= start.wire.runtime().now()) return std::nullopt;
  std::optional<tern::Result<Stream>> stream = start.wire.try_open(head);
  if (!stream) return std::nullopt;
  if (!*stream) return fail(Status::from(stream->error()));
  return std::move(**stream);
}

}  // namespace tern::rpc
