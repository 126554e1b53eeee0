#pragma once

#include "base/error.h"
#include "base/task.h"
#include "connectrpc/conformance/v1/conformance.pb.h"
#include "gateway/client.h"

/// The Connect suite's client: makes a call as it is told, and tells what came of it.

namespace tern::rpc_conformance {

/// How the client has to be for that request. Error: its certificate is none.
Result<ClientOptions> client_options(
    const connectrpc::conformance::v1::ClientCompatRequest& request);

/// One call. `client` outlives the task.
Task<connectrpc::conformance::v1::ClientCompatResponse> make_call(
    Runtime& runtime, Client& client,
    const connectrpc::conformance::v1::ClientCompatRequest& request);

}  // namespace tern::rpc_conformance
