#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {

void walk_out_of_wifi(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.cellular();
  phone.download(4'000'000);
  phone.ask(12, 250ms, 300ms);
  stage.at(stage.about(600ms), "the Wi-Fi signal fades", [&] { wifi.fade(1200ms); });
  stage.at(2s, "out of Wi-Fi", [&] { wifi.vanish(500ms); });
}

void sudden_cut(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.cellular();
  phone.download(4'000'000);
  phone.ask(12, 200ms, 300ms);
  stage.at(stage.about(700ms), "Wi-Fi is gone", [&] { wifi.vanish(); });
}

void lift(Stage& stage) {
  Phone& phone = stage.phone();
  Access& cellular = phone.cellular();
  phone.download(4'000'000);
  const Duration doors_close = stage.about(1s);
  stage.at(doors_close, "the doors close", [&] { cellular.cut(); });
  stage.at(doors_close + 2s, "and open again", [&] { cellular.restore(); });
}

void make_before_break(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi(phone.good_wifi().mbps(6));
  Access& cellular = phone.cellular();
  phone.download(6'000'000);
  phone.ask(20, 250ms, 300ms);
  const Duration weak = stage.about(700ms);
  stage.at(weak, "the phone prefers cellular", [&] { phone.prefer(cellular); });
  stage.at(weak + 4s, "Wi-Fi is gone", [&] { wifi.vanish(); });
}

}  // namespace tern::handoff
