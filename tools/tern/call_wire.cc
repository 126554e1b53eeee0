#include "tools/tern/call_wire.h"

#include "tools/tern/get_output.h"

namespace tern::cli {

Task<Result<std::unique_ptr<rpc::WireStream>>> CallWire::open(http::RequestHead head) {
  head.path.insert(0, prefix_);
  const http::RequestHead told = head;
  Result<std::unique_ptr<rpc::WireStream>> stream = co_await wire_->open(std::move(head));
  failure_.reset();
  if (!stream) {
    failure_ = stream.error();
  } else if (verbose_) {
    print_request((*stream)->exchange().protocol(), told.method, told.authority, told.path,
                  told.fields);
  }
  co_return stream;
}

}  // namespace tern::cli
