#include <memory>

#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {
namespace {

sim::LinkOptions cell_beside_the_track(Stage& stage) {
  sim::CellularTrace trace;
  trace.length(20s).mean_mbps(4).spread(0.5).memory(500ms).outages(4s, 150ms);
  sim::LinkOptions options;
  return options.kind(udp::InterfaceKind::cellular)
      .delay(stage.about(35ms))
      .jitter(4ms)
      .queue_bytes(150'000)
      .rate_trace(std::make_shared<const sim::RateTrace>(trace.make(stage.world().random())));
}

}  // namespace

void train(Stage& stage) {
  constexpr int kHandoffs = 10;
  Phone& phone = stage.phone();
  Access& first = phone.access("cell-a", cell_beside_the_track(stage), sim::RadioOptions::lte());
  Access& second = phone.access("cell-b", cell_beside_the_track(stage), sim::RadioOptions::lte());
  phone.download(5'000'000);
  phone.ask(20, 500ms, 500ms);
  Duration when = 1s;
  for (int i = 0; i < kHandoffs; ++i) {
    Access& from = i % 2 == 0 ? first : second;
    Access& to = i % 2 == 0 ? second : first;
    stage.at(when, "to " + to.name(), [&] {
      to.come_back();
      phone.prefer(to);
    });
    stage.at(when + stage.about(300ms), "", [&] { from.vanish(200ms); });
    when += stage.about(1s);
  }
}

void address_change_with_loss(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.download(4'000'000);
  phone.ask(8, 250ms, 300ms);
  const Duration change = stage.about(700ms);
  stage.at(change, "a new address, and a fifth of all packets is lost", [&] {
    wifi.link().loss(0.2);
    wifi.renumber();
  });
  stage.at(change + 600ms, "no loss any more", [&] { wifi.link().loss(0); });
}

void nat_rebinding_upload(Stage& stage) {
  constexpr int kRebindings = 5;
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.upload(4'000'000);
  Duration when = stage.about(300ms);
  for (int i = 0; i < kRebindings; ++i) {
    stage.at(when, "the NAT forgets", [&] { wifi.nat().rebind(); });
    when += stage.about(200ms);
  }
}

}  // namespace tern::handoff
