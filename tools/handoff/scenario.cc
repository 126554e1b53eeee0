#include "tools/handoff/scenario.h"

#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {
namespace {

constexpr Scenario kScenarios[] = {
    {"walk-out-of-wifi", "The Wi-Fi signal fades, then it is gone",
     "A phone downloads over Wi-Fi while its owner walks out of the house. For more than a second "
     "the signal gets weaker: less rate, longer delay, losses in bursts. Then there is silence, "
     "and half a second later the system takes the interface away. Cellular has been there all "
     "the time.",
     walk_out_of_wifi},
    {"sudden-cut", "Wi-Fi is cut off without warning",
     "In the middle of a download the Wi-Fi network falls silent: no weak signal before it, no "
     "message about it. The system notices after one and a half seconds. Whoever waits for that "
     "stands still so long; a transport that sees that nothing comes back any more need not.",
     sudden_cut, 1, true, Bound::pto_and_two_round_trips},
    {"lift", "Two seconds of nothing, on the only network",
     "The doors of a lift close: two seconds without any packet, and no other network to go to. "
     "The connection has to wait and to be awake when the doors open.",
     lift},
    {"make-before-break", "Another network is taken before the first one goes",
     "The system sees that Wi-Fi gets weak and makes cellular the preferred network, four seconds "
     "before Wi-Fi is gone. A connection that may move is on the new path before the old one "
     "breaks; the others notice when it is too late.",
     make_before_break, 1, true, Bound::round_trip},
    {"train", "Ten handoffs between cells whose rate follows a trace",
     "On a train, every second another cell: the next one is taken while the last one is still "
     "heard, which then goes. The rate of both follows cellular traces, made from the seed, that "
     "wander between one and ten megabits a second and stop now and then.",
     train},
    {"nat-rebinding-upload", "The NAT forgets its mapping five times during an upload",
     "A home router drops the mapping of a connection that is in the middle of an upload: the next "
     "packet leaves with another port, and the server sees it come from elsewhere. The phone "
     "notices nothing, and need not.",
     nat_rebinding_upload},
    {"address-change-with-loss", "A new address while packets get lost",
     "The access point gives the phone another address, the old one is gone at once, and a fifth "
     "of all packets is lost in both directions while the connection moves: path challenges and "
     "their answers among them.",
     address_change_with_loss},
    {"captive-portal", "A better network appears that lets no UDP through",
     "The phone downloads over cellular when a café's Wi-Fi appears, which the system prefers. It "
     "swallows every UDP packet. Whoever probes a path before moving to it stays where it works.",
     captive_portal},
    {"mtu-drop", "The next network takes smaller packets",
     "Wi-Fi is switched off, and the cellular network is a tunnel with an MTU of 1280 bytes. The "
     "phone knows, the server does not: its full Ethernet packets, fine before, vanish in the "
     "tunnel "
     "without a word.",
     mtu_drop},
    {"satellite", "From 20 ms to 600 ms",
     "Wi-Fi is switched off and a satellite in geostationary orbit is what is left: thirty times "
     "the round trip, and what was known about the old path says nothing about this one.",
     satellite},
    {"asymmetric-loss", "A path that loses what the phone sends",
     "At the edge of a cell the phone hears the base station well, but one in seven of its own "
     "packets is lost: acknowledgements, requests, and the answers to path challenges.",
     asymmetric_loss},
    {"ipv4-to-ipv6", "From a network with IPv4 alone to one with IPv6 alone",
     "The Wi-Fi network has no IPv6, the cellular one no IPv4 and no translation. A QUIC "
     "connection "
     "keeps its server's address for life (RFC 9000 §9), so this is the handoff that no migration "
     "survives: what counts is how fast the next connection stands and that nothing is fetched "
     "twice.",
     ipv4_to_ipv6, 2, false},
    {"behind-a-balancer", "Two machines behind a layer-4 balancer",
     "Four phones leave their Wi-Fi, and then their cellular network's NAT gives them other "
     "addresses: the balancer sees clients it has never seen. At last it is replaced by another "
     "that has no table at all. The connection IDs say which machine a packet is for, and no "
     "connection is lost. (A balancer of TCP ends it itself: that carrier sees one machine.)",
     behind_a_balancer},
    {"thousand-phones", "A thousand phones hand off together",
     "A train with a thousand phones leaves the station, and its Wi-Fi. All of them turn up at the "
     "server from new addresses within the same moment.",
     thousand_phones, 1, true, Bound::none, 50},
    {"loss-isolation", "A hundred streams on a path that loses two packets in a hundred",
     "No handoff: a hundred downloads share one connection and two percent of all packets are "
     "lost. "
     "On one byte stream a lost packet holds up everything behind it; on QUIC the streams whose "
     "bytes it carried, and no other.",
     loss_isolation, 1, true, Bound::none, 1, true},
    {"live-streams", "A hundred live streams on a path that loses two packets in a hundred",
     "No handoff: a hundred sources have a message of a kilobyte each second, one after the other, "
     "far less than the path carries. Who watches one of them has to wait when its own message is "
     "lost. Whether also when another one's is, depends on the transport.",
     live_streams, 1, true, Bound::none, 1, true},
};

}  // namespace

std::span<const Scenario> scenarios() noexcept { return kScenarios; }

const Scenario* find_scenario(std::string_view name) noexcept {
  for (const Scenario& scenario : kScenarios) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace tern::handoff
