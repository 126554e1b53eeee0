#pragma once

#include "tools/handoff/stage.h"

/// The scenarios, each a page. What they are about is told in scenario.cc.

namespace tern::handoff {

// leaving_wifi.cc
void walk_out_of_wifi(Stage& stage);
void sudden_cut(Stage& stage);
void lift(Stage& stage);
void make_before_break(Stage& stage);

// other_networks.cc
void mtu_drop(Stage& stage);
void satellite(Stage& stage);
void asymmetric_loss(Stage& stage);
void ipv4_to_ipv6(Stage& stage);
void captive_portal(Stage& stage);

// moving.cc
void train(Stage& stage);
void address_change_with_loss(Stage& stage);
void nat_rebinding_upload(Stage& stage);

// servers.cc
void behind_a_balancer(Stage& stage);

// crowds.cc
void thousand_phones(Stage& stage);
void loss_isolation(Stage& stage);
void live_streams(Stage& stage);

}  // namespace tern::handoff
