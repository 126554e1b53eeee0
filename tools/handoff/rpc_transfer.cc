#include "tools/handoff/rpc_transfer.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/scope.h"
#include "rpc/client_streams.h"
#include "rpc/dispatcher.h"
#include "rpc/server_context.h"
#include "tools/handoff/body.h"
#include "tools/handoff/stage.h"
#include "transfers.tern.h"

namespace tern::handoff {
namespace {

using v1::Part;

using Talk = rpc::BidiStream<Part, Part>;

ByteView body_of(const Part& part) {
  return {reinterpret_cast<const std::uint8_t*>(part.body().data()), part.body().size()};
}

Part first_part(const Transfer& transfer, std::uint64_t offset) {
  Part part;
  part.set_transfer(transfer.id());
  part.set_attempt(transfer.attempts);
  part.set_offset(offset);
  return part;
}

/// The next piece of the transfer's bytes, at most up to `end`.
Part part_of(const Transfer& transfer, std::uint64_t offset, std::uint64_t end) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, end - offset));
  Part part = first_part(transfer, offset);
  const Bytes body = body_bytes(transfer.id(), offset, size);
  part.set_body(body.text().data(), body.size());
  return part;
}

Error ended_with(const rpc::Status& status) { return Error::closed(status.to_string()); }

/// False: these are not the next bytes.
bool deliver(Phone& phone, Transfer& transfer, const Part& part) {
  if (phone.stage().deliver(transfer, body_of(part))) return true;
  phone.stage().violate(fmt::format("{} {}: wrong bytes at {}", name(transfer.kind()),
                                    transfer.id(), transfer.delivered()));
  return false;
}

// ---- the phone ----------------------------------------------------------------------------------

Task<Result<void>> receive(rpc::Channel& channel, Phone& phone, Transfer& transfer) {
  v1::Transfers::Client client(channel);
  rpc::ClientContext context;
  const Part request = first_part(transfer, transfer.delivered());
  auto call = co_await client.Down(context, request);
  if (!call) co_return fail(ended_with(call.error()));
  Part part;
  for (;;) {
    const bool more = co_await call->receive(part);
    if (!more) break;
    if (!deliver(phone, transfer, part)) co_return Result<void>();
  }
  const rpc::Status status = co_await call->finish();
  if (!status.ok()) co_return fail(ended_with(status));
  if (!transfer.complete()) co_return fail(Error::closed("the call ended early"));
  co_return Result<void>();
}

Task<Result<void>> send(rpc::Channel& channel, Transfer& transfer) {
  v1::Transfers::Client client(channel);
  std::uint64_t offset = 0;
  if (transfer.attempts > 1) {
    const Part question = first_part(transfer, 0);
    const auto there = co_await client.Have(question);
    if (!there) co_return fail(ended_with(there.error()));
    offset = there->offset();
  }
  rpc::ClientContext context;
  auto call = co_await client.Up(context);
  if (!call) co_return fail(ended_with(call.error()));
  bool sent = true;
  while (sent && offset < transfer.size()) {
    const Part part = part_of(transfer, offset, transfer.size());
    sent = co_await call->send(part);
    offset += part.body().size();
  }
  Part answer;
  const rpc::Status status = co_await call->finish(answer);
  if (!status.ok()) co_return fail(ended_with(status));
  if (answer.offset() != transfer.size()) co_return fail(Error::closed("the upload is not whole"));
  co_return Result<void>();
}

/// The phone's half of a conversation: says what there is to say, when it is there.
Task<void> speak(Phone& phone, const Transfer& transfer, Talk& call, std::uint64_t& messages) {
  const Service& service = phone.stage().service();
  std::uint64_t offset = transfer.delivered();
  while (offset < transfer.size()) {
    const Duration now = service.now();
    const std::uint64_t made = transfer.made(now);
    if (offset >= made) {
      co_await phone.host().runtime().sleep(transfer.more_at(now) - now);
      continue;
    }
    const Part part = part_of(transfer, offset, made);
    const bool sent = co_await call.send(part);
    if (!sent) co_return;
    ++messages;
    offset += part.body().size();
  }
  call.half_close();
}

Task<Result<void>> talk(rpc::Channel& channel, Phone& phone, Transfer& transfer) {
  v1::Transfers::Client client(channel);
  rpc::ClientContext context;
  auto call = co_await client.Talk(context);
  if (!call) co_return fail(ended_with(call.error()));
  std::uint64_t said = 0;
  std::uint64_t heard = 0;
  Scope speaking(phone.host().runtime().ready());
  speaking.spawn(speak(phone, transfer, *call, said));
  Part part;
  for (;;) {
    const bool more = co_await call->receive(part);
    if (!more) break;
    ++heard;
    if (!deliver(phone, transfer, part)) co_return Result<void>();
  }
  speaking.cancel();
  const rpc::Status status = co_await call->finish();
  if (!status.ok()) co_return fail(ended_with(status));
  if (said != heard || part.count() != heard) {
    phone.stage().violate(fmt::format("call {}: {} messages sent, {} at the server, {} came back",
                                      transfer.id(), said, part.count(), heard));
  }
  co_return Result<void>();
}

// ---- the server ---------------------------------------------------------------------------------

rpc::Status no_such_transfer() { return rpc::Status(rpc::Code::not_found, "no such transfer"); }

class Calls final : public v1::Transfers {
 public:
  explicit Calls(handoff::Service& service) : service_(service) {}

  Task<rpc::Status> Down(rpc::ServerContext& context, const Part& request,
                         rpc::Writer<Part>& parts) override {
    const Transfer* transfer = service_.find(request.transfer());
    if (transfer == nullptr) co_return no_such_transfer();
    service_.arrived(name(transfer->kind()), request.transfer(), request.attempt());
    std::uint64_t offset = request.offset();
    while (offset < transfer->size()) {
      const Duration now = service_.now();
      const std::uint64_t made = transfer->made(now);
      if (offset >= made) {
        const bool slept = co_await context.sleep(transfer->more_at(now) - now);
        if (!slept) co_return context.cancellation();
        continue;
      }
      const Part part = part_of(*transfer, offset, made);
      const bool sent = co_await parts.send(part);
      if (!sent) co_return context.cancellation();
      offset += part.body().size();
    }
    co_return rpc::Status();
  }

  Task<rpc::Status> Up(rpc::ServerContext&, rpc::Reader<Part>& parts, Part& response) override {
    Part part;
    bool begun = false;
    for (;;) {
      const bool more = co_await parts.receive(part);
      if (!more) break;
      if (service_.find(part.transfer()) == nullptr) co_return no_such_transfer();
      if (!begun) {
        begun = true;
        service_.arrived("upload", part.transfer(), part.attempt());
        if (!service_.begin_upload(part.transfer(), part.attempt(), part.offset())) {
          co_return rpc::Status(rpc::Code::failed_precondition, "it goes on elsewhere");
        }
      }
      if (!service_.take(part.transfer(), part.attempt(), body_of(part))) {
        co_return rpc::Status(rpc::Code::aborted, "another attempt has taken over");
      }
      response.set_offset(part.offset() + part.body().size());
    }
    co_return parts.status();
  }

  Task<rpc::Status> Have(rpc::ServerContext&, const Part& request, Part& response) override {
    response.set_offset(service_.have(request.transfer(), request.attempt()));
    co_return rpc::Status();
  }

  Task<rpc::Status> Talk(rpc::ServerContext& context, rpc::Reader<Part>& said,
                         rpc::Writer<Part>& heard) override {
    Part part;
    std::uint64_t count = 0;
    for (;;) {
      const bool more = co_await said.receive(part);
      if (!more) co_return said.status();
      if (count == 0) service_.arrived("call", part.transfer(), part.attempt());
      part.set_count(++count);
      const bool sent = co_await heard.send(part);
      if (!sent) co_return context.cancellation();
    }
  }

 private:
  handoff::Service& service_;
};

}  // namespace

Task<Result<void>> attempt_over(rpc::Channel& channel, Phone& phone, Transfer& transfer) {
  switch (transfer.kind()) {
    case Transfer::Kind::upload: return send(channel, transfer);
    case Transfer::Kind::call: return talk(channel, phone, transfer);
    case Transfer::Kind::download:
    case Transfer::Kind::request: break;
  }
  return receive(channel, phone, transfer);
}

http::Handler transfer_calls(Service& service) {
  return rpc::serve(std::make_shared<Calls>(service));
}

}  // namespace tern::handoff
