#include <string>

#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {

void behind_a_balancer(Stage& stage) {
  constexpr int kPhones = 4;  // a client's first packet says which machine it gets
  Balancer& balancer = stage.balance(2);
  for (int i = 0; i < kPhones; ++i) {
    Phone& phone = stage.phone("phone" + std::to_string(i));
    Access& wifi = phone.wifi(phone.good_wifi().mbps(6));
    Access& cellular = phone.cellular(phone.good_lte().mbps(6));
    phone.download(1'500'000);
    phone.ask(6, 300ms, 300ms);
    stage.at(stage.about(500ms), "", [&] { wifi.vanish(); });
    stage.at(stage.about(1200ms), "", [&] { cellular.nat().rebind_address(); });
  }
  stage.at(500ms, "one phone after the other loses its Wi-Fi", [] {});
  stage.at(1200ms, "the cellular network's NAT gives them other addresses", [] {});
  stage.at(1700ms, "the balancer is replaced", [&] { balancer.forget_clients(); });
}

}  // namespace tern::handoff
