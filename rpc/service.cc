#include "rpc/service.h"

#include <string>

namespace tern::rpc {

Task<Status> unimplemented(std::string_view path) {
  co_return Status(Code::unimplemented, std::string(path) + " is not implemented");
}

}  // namespace tern::rpc
