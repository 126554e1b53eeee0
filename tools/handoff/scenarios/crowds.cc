#include <string>
#include <vector>

#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {

void thousand_phones(Stage& stage) {
  constexpr int kPhones = 1000;
  std::vector<Access*> wifis;
  for (int i = 0; i < kPhones; ++i) {
    Phone& phone = stage.phone("phone" + std::to_string(i));
    wifis.push_back(&phone.wifi(phone.good_wifi().mbps(2)));
    phone.cellular(phone.good_lte().mbps(1));
    phone.download(60'000);
  }
  stage.at(300ms, "the train leaves the station, and its Wi-Fi", [wifis] {
    for (Access* wifi : wifis) wifi->switch_off();
  });
}

void loss_isolation(Stage& stage) {
  constexpr int kStreams = 100;
  Phone& phone = stage.phone();
  phone.wifi(phone.good_wifi().loss(0.02));
  for (int i = 0; i < kStreams; ++i) phone.download(40'000);
}

void live_streams(Stage& stage) {
  constexpr int kStreams = 100;
  constexpr Duration kPeriod = 1s;
  Phone& phone = stage.phone();
  phone.wifi(phone.good_wifi().loss(0.02));
  // Not all at the same moment: a packet then has one stream's message.
  for (int i = 0; i < kStreams; ++i) phone.subscribe(10, 1000, kPeriod, i * kPeriod / kStreams);
}

}  // namespace tern::handoff
