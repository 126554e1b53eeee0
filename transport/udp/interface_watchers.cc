#include "transport/udp/interface_watchers.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "transport/udp/network.h"

namespace tern::udp {

class InterfaceWatchers::Watch final : public InterfaceWatch {
 public:
  Watch(InterfaceWatchers& owner, std::function<void()> changed)
      : owner_(owner), changed_(std::move(changed)) {
    owner_.watches_.push_back(this);
  }
  ~Watch() override { std::erase(owner_.watches_, this); }

  /// A copy, for the call may end this watch.
  std::function<void()> callback() const { return changed_; }

 private:
  InterfaceWatchers& owner_;
  std::function<void()> changed_;
};

InterfaceWatchers::~InterfaceWatchers() { TERN_CHECK(watches_.empty()); }

Result<std::unique_ptr<InterfaceWatch>> InterfaceWatchers::add(std::function<void()> changed) {
  if (watches_.size() >= Network::kMaxInterfaceWatches) {
    return fail(Error::limit("too many watches of the network interfaces"));
  }
  return std::make_unique<Watch>(*this, std::move(changed));
}

void InterfaceWatchers::notify() {
  const std::vector<Watch*> now = watches_;
  for (Watch* watch : now) {
    if (std::find(watches_.begin(), watches_.end(), watch) != watches_.end()) watch->callback()();
  }
}

}  // namespace tern::udp
