#pragma once

#include <chrono>
#include <stdexcept>

#include "rpc/server_context.h"
#include "talk.tern.h"

/// A service that does as it is asked.

namespace tern::rpc::test {

using tern::test::Ask;
using tern::test::Told;

class TalkService final : public tern::test::Talk {
 public:
  Task<Status> Say(ServerContext& context, const Ask& ask, Told& told) override {
    Status status = co_await prepare(context, ask);
    if (!status.ok()) co_return status;
    told.set_text(ask.text());
    told.set_number(static_cast<int>(ask.padding().size()));
    co_return asked_for(ask);
  }
  Task<Status> Do(ServerContext& context, const Ask& ask, Told& told) override {
    return Say(context, ask, told);
  }
  Task<Status> Many(ServerContext& context, const Ask& ask, Writer<Told>& writer) override {
    Status status = co_await prepare(context, ask);
    if (!status.ok()) co_return status;
    for (int i = 0; i < ask.times(); ++i) {
      Told told;
      told.set_text(ask.text());
      told.set_number(i);
      const bool sent = co_await writer.send(told);
      if (!sent) co_return Status(Code::cancelled);
    }
    co_return asked_for(ask);
  }
  Task<Status> Sum(ServerContext& context, Reader<Ask>& reader, Told& told) override {
    Status status;
    for (;;) {
      Ask ask;
      const bool more = co_await reader.receive(ask);
      if (!more) co_return status;
      Status ready = co_await prepare(context, ask);
      if (!ready.ok()) co_return ready;
      told.set_text(told.text() + ask.text());
      told.set_number(told.number() + 1);
      if (ask.code() != 0) status = asked_for(ask);
    }
  }
  Task<Status> Chat(ServerContext& context, Reader<Ask>& reader, Writer<Told>& writer) override {
    for (;;) {
      Ask ask;
      const bool more = co_await reader.receive(ask);
      if (!more) co_return Status();
      Status ready = co_await prepare(context, ask);
      if (!ready.ok()) co_return ready;
      Told told;
      told.set_text(ask.text());
      const bool sent = co_await writer.send(told);
      if (!sent) co_return Status(Code::cancelled);
      if (ask.code() != 0) co_return asked_for(ask);
    }
  }

 private:
  /// Echoes metadata, waits, throws.
  static Task<Status> prepare(ServerContext& context, const Ask& ask) {
    for (const auto& entry : context.metadata()) {
      if (!entry.key.starts_with("x-")) continue;
      context.initial_metadata().add(entry.key, entry.value);
      context.trailing_metadata().add("trailing-" + entry.key, entry.value);
    }
    if (ask.throws()) throw std::runtime_error("as asked");
    if (ask.wait_ms() > 0) {
      const bool slept = co_await context.sleep(std::chrono::milliseconds(ask.wait_ms()));
      if (!slept) co_return context.cancellation();
    }
    co_return Status();
  }
  static Status asked_for(const Ask& ask) {
    if (ask.code() == 0) return Status();
    Told detail;
    detail.set_text("detail");
    return Status(static_cast<Code>(ask.code()), "as \"asked\" ä").detail(detail);
  }
};

}  // namespace tern::rpc::test
