// What comes back to us from elsewhere: saved sessions, address validation tokens, connection IDs,
// key files.

#include "tests/fuzz/quic/fuzz_endpoint.h"
#include "transport/quic/session.h"
#include "transport/quic/token.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tern;
  using namespace tern::quic;
  const ByteView input(data, size);
  if (const auto session = Session::parse(input)) {
    // What parses must come out the same.
    if (Session::parse(session->serialize()) != *session) __builtin_trap();
  }
  static Random random(1);
  static const auto keys = std::make_shared<tls::KeyRing>(random, fuzz::kNow);
  static const AddressTokens tokens(keys);
  const std::uint8_t address[] = {10, 0, 0, 1, 1, 187};
  (void)tokens.open(input, kVersion1, address, {address, 4}, {address, 4}, fuzz::kNow);
  CidCodec::Key key{};
  static const CidGenerator cids = *CidGenerator::create(CidConfig().key(key));
  (void)cids.decode(input);
  (void)cids.worker_of(input);
  (void)tls::KeyRing::parse(as_text(input));
  return 0;
}
