#pragma once

#include <memory>

#include "base/error.h"
#include "base/task.h"
#include "http/router.h"
#include "rpc/channel.h"
#include "tools/handoff/phone.h"
#include "tools/handoff/service.h"
#include "tools/handoff/transfer.h"

/// Transfers as calls of transfers.proto: a download streams its responses, an upload its requests,
/// a conversation both.

namespace tern::handoff {

/// One attempt at what is left of it. The channel outlives the task.
Task<Result<void>> attempt_over(rpc::Channel& channel, Phone& phone, Transfer& transfer);

/// The server's side; the service outlives it.
http::Handler transfer_calls(Service& service);

}  // namespace tern::handoff
