#pragma once

#include <memory>

#include "rpc/service.h"

/// The Connect suite's service: answers as the request asks for, and tells what it has seen of it.

namespace tern::rpc_conformance {

std::shared_ptr<rpc::Service> conformance_service();

}  // namespace tern::rpc_conformance
