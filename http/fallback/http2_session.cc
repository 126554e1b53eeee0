#include "http/fallback/http2_session.h"

#include "base/check.h"

namespace tern::fallback {

std::unique_ptr<SessionBase> make_http2_session(ContextCore&, std::unique_ptr<tcp::Stream>, bool,
                                                ClientHooks) {
  TERN_CHECK(false);  // comes with the next change
}

}  // namespace tern::fallback
