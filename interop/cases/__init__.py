"""The matrix. Every case is a function that drives one real peer against the subject (tern).

It raises Failure when the outcome is wrong and NotRun when the peer is not there. The order of the
imports is the order of the cases: those that take long come first, for a short end.
"""

from cases import (browsers, webtransport, http_clients, bad_clients, gtls_client, gtls_server, http_servers, https_records,
                   moving, over_tcp, prober, prober_control, proxies, relayed, replaced,
                   reverse_proxies, rpc_call,
                   rpc_dialects, rpc_grpc, runtimes, scanners, tcp_clients, tcp_servers, websocket_programs, websockets)

__all__ = ["bad_clients", "browsers", "http_clients", "gtls_client", "gtls_server", "http_servers",
           "https_records", "moving", "over_tcp", "prober", "prober_control", "proxies", "relayed",
           "replaced", "reverse_proxies", "rpc_call", "rpc_dialects", "rpc_grpc", "runtimes", "scanners", "tcp_clients", "tcp_servers",
           "websocket_programs", "websockets", "webtransport"]
