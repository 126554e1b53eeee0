#pragma once

#include <memory>
#include <optional>

#include "base/task.h"
#include "http/message.h"
#include "rpc/client_call.h"
#include "rpc/status.h"
#include "rpc/wire.h"

namespace tern::rpc {

/// What every dialect's `open` begins with: credentials, then the wire, within the call's deadline
/// and as long as it is not cancelled. What the caller's references name outlives the task.
Task<Result<std::unique_ptr<WireStream>>> open_wire(CallStart start, http::RequestHead head);
/// The same, if there is nothing to wait for. Nothing: there is.
std::optional<Result<std::unique_ptr<WireStream>>> try_open_wire(const CallStart& start,
                                                                 const http::RequestHead& head);

}  // namespace tern::rpc
