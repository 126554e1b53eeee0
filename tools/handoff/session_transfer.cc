#include "tools/handoff/session_transfer.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "tools/handoff/body.h"
#include "tools/handoff/stage.h"

namespace tern::handoff {
namespace {

using webtransport::Session;
using webtransport::Stream;

constexpr std::size_t kMaxLine = 100;

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// A stream's first line, in words, and what came with it.
struct Command {
  std::vector<std::string> words;
  Bytes rest;
  std::string_view word(std::size_t i) const {
    return i < words.size() ? std::string_view(words[i]) : std::string_view();
  }
};

Task<std::optional<Command>> read_command(Stream& stream) {
  std::string line;
  for (;;) {
    Result<Bytes> piece = co_await stream.read();
    if (!piece || piece->empty() || line.size() > kMaxLine) co_return std::nullopt;
    const std::size_t end = piece->text().find('\n');
    line += piece->text().substr(0, end);
    if (end == std::string_view::npos) continue;
    Command command;
    piece->remove_prefix(end + 1);
    command.rest = std::move(*piece);
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t space = std::min(line.find(' ', at), line.size());
      command.words.push_back(line.substr(at, space - at));
      at = space + 1;
    }
    co_return command;
  }
}

/// The transfer's bytes from `offset` on, as there are some, and the end.
Task<Result<void>> send_body(const Service& service, Runtime& runtime, Stream& stream,
                             const Transfer& transfer, std::uint64_t offset) {
  Result<void> sent;
  while (sent && offset < transfer.size()) {
    const Duration now = service.now();
    const std::uint64_t made = transfer.made(now);
    if (offset >= made) {
      co_await runtime.sleep(transfer.more_at(now) - now);
      continue;
    }
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, made - offset));
    Bytes piece = body_bytes(transfer.id(), offset, length);
    sent = co_await stream.write(std::move(piece));
    offset += length;
  }
  if (sent) sent = co_await stream.finish();
  co_return sent;
}

// ---- the phone ----------------------------------------------------------------------------------

Task<Result<void>> receive_stream(Session& session, Phone& phone, Transfer& transfer) {
  Result<std::unique_ptr<Stream>> opened = co_await session.open_bidirectional();
  if (!opened) co_return fail(std::move(opened).error());
  Stream& stream = **opened;
  std::string line =
      fmt::format("down {} {} {}\n", transfer.id(), transfer.attempts, transfer.delivered());
  Result<void> asked = co_await stream.finish(Bytes::take(std::move(line)));
  if (!asked) co_return asked;
  for (;;) {
    Result<Bytes> piece = co_await stream.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    if (!phone.stage().deliver(transfer, *piece)) {
      phone.stage().violate(
          fmt::format("download {}: wrong bytes at {}", transfer.id(), transfer.delivered()));
      co_return Result<void>();
    }
  }
  if (!transfer.complete()) co_return fail(Error::closed("the stream ended early"));
  co_return Result<void>();
}

Task<Result<std::string>> ask(Session& session, std::string line) {
  Result<std::unique_ptr<Stream>> opened = co_await session.open_bidirectional();
  if (!opened) co_return fail(std::move(opened).error());
  Result<void> asked = co_await (*opened)->finish(Bytes::take(std::move(line)));
  if (!asked) co_return fail(std::move(asked).error());
  Result<std::string> answer = co_await (*opened)->read_all(kMaxLine);
  co_return answer;
}

Task<Result<void>> send_stream(Session& session, const Service& service, Transfer& transfer) {
  std::uint64_t offset = 0;
  if (transfer.attempts > 1) {
    Result<std::string> there =
        co_await ask(session, fmt::format("have {} {}\n", transfer.id(), transfer.attempts));
    if (!there) co_return fail(std::move(there).error());
    offset = number_in(*there);
  }
  Result<std::unique_ptr<Stream>> opened = co_await session.open_bidirectional();
  if (!opened) co_return fail(std::move(opened).error());
  Stream& stream = **opened;
  std::string line = fmt::format("up {} {} {}\n", transfer.id(), transfer.attempts, offset);
  Result<void> sent = co_await stream.write(Bytes::take(std::move(line)));
  if (sent) sent = co_await send_body(service, session.runtime(), stream, transfer, offset);
  if (!sent) co_return sent;
  const Result<std::string> answer = co_await stream.read_all(kMaxLine);
  if (!answer) co_return fail(answer.error());
  if (*answer != "ok" || !transfer.complete()) {
    co_return fail(Error::closed("the server refused the upload"));
  }
  co_return Result<void>();
}

// ---- the server ---------------------------------------------------------------------------------

Task<void> take_upload(Service& service, Stream& stream, Command command) {
  const std::uint64_t id = number_in(command.word(1));
  const std::uint64_t attempt = number_in(command.word(2));
  service.arrived("upload", id, attempt);
  bool wanted = service.begin_upload(id, attempt, number_in(command.word(3)));
  Bytes piece = std::move(command.rest);
  while (wanted) {
    wanted = piece.empty() || service.take(id, attempt, piece);
    if (!wanted) break;
    Result<Bytes> next = co_await stream.read();
    if (!next) co_return;
    if (next->empty()) break;
    piece = std::move(*next);
  }
  const std::string_view verdict = wanted ? "ok" : "no";
  co_await stream.finish(Bytes::copy(verdict));
}

Task<void> answer(Service& service, Runtime& runtime, std::unique_ptr<Stream> stream) {
  std::optional<Command> command = co_await read_command(*stream);
  if (!command) co_return;
  const std::uint64_t id = number_in(command->word(1));
  const Transfer* transfer = service.find(id);
  if (transfer == nullptr) co_return;
  if (command->word(0) == "down") {
    service.arrived(name(transfer->kind()), id, number_in(command->word(2)));
    co_await send_body(service, runtime, *stream, *transfer, number_in(command->word(3)));
  } else if (command->word(0) == "up") {
    co_await take_upload(service, *stream, std::move(*command));
  } else if (command->word(0) == "have") {
    std::string text = std::to_string(service.have(id, number_in(command->word(2))));
    co_await stream->finish(Bytes::take(std::move(text)));
  }
}

}  // namespace

Task<Result<void>> attempt_over(Session& session, Phone& phone, Transfer& transfer) {
  if (transfer.kind() == Transfer::Kind::upload) {
    Result<void> sent = co_await send_stream(session, phone.stage().service(), transfer);
    co_return sent;
  }
  Result<void> received = co_await receive_stream(session, phone, transfer);
  co_return received;
}

Task<void> serve_transfers(Service& service, Session& session) {
  Scope scope(session.runtime().ready());
  for (;;) {
    std::unique_ptr<Stream> stream = co_await session.accept_bidirectional();
    if (!stream) break;
    scope.spawn(answer(service, session.runtime(), std::move(stream)));
  }
}

}  // namespace tern::handoff
