#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {

void mtu_drop(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.cellular(phone.good_lte().mtu(1280).interface_mtu(1280));
  phone.download(3'000'000);
  phone.upload(500'000, 200ms);
  stage.at(stage.about(700ms), "to a network with an MTU of 1280", [&] { wifi.switch_off(); });
}

void satellite(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  sim::LinkOptions orbit;
  orbit.delay(300ms).mbps(stage.between(15, 25)).jitter(5ms).loss(0.002).queue_bytes(1'500'000);
  phone.access("satellite", orbit, sim::RadioOptions());
  phone.download(4'000'000);
  phone.ask(6, 500ms, 300ms);
  stage.at(stage.about(700ms), "only the satellite is left", [&] { wifi.switch_off(); });
}

void asymmetric_loss(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  sim::LinkOptions edge_of_the_cell = phone.good_lte();
  Access& cellular = phone.cellular(edge_of_the_cell);
  cellular.link().up().loss(0.15);
  phone.download(3'000'000);
  phone.ask(8, 300ms, 300ms);
  stage.at(stage.about(700ms), "to a cell that hears one packet in seven not",
           [&] { wifi.switch_off(); });
}

void ipv4_to_ipv6(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi(phone.good_wifi().v4_only());
  Access& cellular = phone.cellular(phone.good_lte().v6_only());
  cellular.switch_off();
  phone.download(3'000'000);
  phone.ask(8, 300ms, 300ms);
  stage.at(stage.about(700ms), "from IPv4 alone to IPv6 alone", [&] {
    cellular.come_back();
    wifi.switch_off();
  });
}

void captive_portal(Stage& stage) {
  Phone& phone = stage.phone();
  phone.cellular();
  Access& cafe = phone.wifi();
  cafe.block_udp();
  cafe.switch_off();
  phone.download(3'000'000);
  phone.ask(10, 300ms, 300ms);
  stage.at(stage.about(700ms), "Wi-Fi that lets no UDP through", [&] {
    phone.prefer(cafe);
    cafe.come_back();
  });
}

}  // namespace tern::handoff
