"""The transport of the original design: gRPC unary with TLS on both sides, certificates made for the run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import trustme

from bench.context import Context
from bench.peer_programs import start_peer
from bench.peers.reference import GROUP
from bench.rows.grpc_paths import facts_of
from bench.rows.row import Opened, Row
from bench.timing import time_orders
from fallback_grpc import service
from fallback_grpc.channel import channel_options
from transport import Order, OrderReply


@dataclass(frozen=True)
class Certificates:
    """PEM files of one certificate authority: the server's by path, the client's as bytes."""

    authority: Path
    server: Path
    server_key: Path
    client_credentials: grpc.ChannelCredentials


def make_certificates(folder: Path) -> Certificates:
    """A certificate authority that lives for one run, a server's certificate and a client's."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1", "localhost"), authority.issue_cert("client@bench.invalid")
    found = Certificates(
        authority=folder / "authority.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client_credentials=grpc.ssl_channel_credentials(
            authority.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
        ),
    )
    authority.cert_pem.write_to_path(str(found.authority))
    server.cert_chain_pems[0].write_to_path(str(found.server))
    server.private_key_pem.write_to_path(str(found.server_key))
    return found


@contextmanager
def _opened(context: Context) -> Generator[Opened]:
    made = make_certificates(context.folder / "certificates")
    arguments = ("--certificate", str(made.server), "--key", str(made.server_key), "--client-ca", str(made.authority))
    with start_peer(("grpc-tls", *arguments)) as server:
        endpoint: str = server.ready["grpc"]
        with grpc.secure_channel(endpoint, made.client_credentials, options=channel_options(endpoint)) as channel:
            rpc = service.EXECUTE_ORDER
            untyped: Any = channel
            method = untyped.unary_unary(rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse)

            def call(order: Order) -> OrderReply:
                return rpc.from_pb(method(rpc.request(order), timeout=2.0))

            yield Opened(time_orders(call), facts_of("none"))


ROWS: list[Row] = [
    Row("grpc-mtls", GROUP, _opened, security="encrypted", note="the original design: unary, tonic, canned reply")
]
