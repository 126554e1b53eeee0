/// A QUIC-LB load balancer in front of several `tern serve` (docs/deployment.md):
///
///   load_balancer [::]:443 cid.key 01=10.0.0.1:4433 02=10.0.0.2:4433
///
/// where the machines run with --cid-key cid.key, and --server-id 01 or 02. "-" for plain text IDs.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "transport/engine/engine.h"
#include "transport/quic/balanced_relay.h"
#include "transport/tls/private_file.h"

using namespace tern;

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "load_balancer: %s\n", result.error().to_string().c_str());
  std::exit(1);
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: load_balancer LISTEN KEYFILE|- ID=ADDRESS…\n");
    return 2;
  }
  quic::CidConfig cids;
  if (std::string(argv[2]) != "-") {
    cids.key(must(quic::parse_cid_key(must(tls::read_file(argv[2])))));
  }
  std::vector<quic::ConnectionId> ids;
  std::vector<udp::Address> machines;
  for (int i = 3; i < argc; ++i) {
    const std::string text = argv[i];
    const std::size_t equals = std::min(text.find('='), text.size() - 1);
    ids.push_back(must(quic::parse_machine_id(text.substr(0, equals))));
    machines.push_back(must(udp::Address::parse(text.substr(equals + 1))));
  }
  const auto network = must(engine::open());
  Runtime runtime(*network);
  const auto relay = must(
      quic::BalancedRelay::create(runtime, *network, must(quic::LoadBalancer::create(cids, ids)),
                                  must(udp::Address::parse(argv[1])), machines));
  std::printf("balances %s\n", relay->listening().to_string().c_str());
  std::fflush(stdout);
  runtime.run();
}
