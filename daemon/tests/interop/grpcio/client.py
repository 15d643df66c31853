"""farsockd as a Python program sees it: client.py TARGET, with TARGET as grpcio takes it (127.0.0.1:7600, unix:/run/x.sock)."""

import hashlib
import queue
import random
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from reflection import VERSIONS, Api, ask, elements, without_comment

VERBS = {
    "farsock.v1.SocketService": """
        CreateSocket CreateSocketPair Bind Listen Accept Connect Send Recv SendTo RecvFrom SendMessages RecvMessages Shutdown Close
        GetSocketName GetPeerName SetOption GetOption Poll GetSocket ListSockets Splice""".split(),
    "farsock.v1.SessionService": "OpenSession RenewSession CloseSession ListSessions Operate".split(),
    "farsock.v1.JournalService": ["Watch"],
    "farsock.v1.StreamService": "Stream Datagrams AcceptMany".split(),
    "farsock.v1.HostService": "GetHost ListInterfaces Resolve GetClock".split(),
}
TCP = {"domain": "DOMAIN_INET", "type": "SOCKET_TYPE_STREAM"}
UDP = {"domain": "DOMAIN_INET", "type": "SOCKET_TYPE_DGRAM"}
ANY_PORT = {"ip": {"host": "127.0.0.1", "port": 0}}


class Reflection(unittest.TestCase):
    def test_both_versions_list_the_services(self):
        for version in VERSIONS:
            listed = ask(CHANNEL, version, list_services="").list_services_response
            names = {service.name for service in listed.service}
            self.assertLessEqual({*VERBS, "grpc.health.v1.Health"}, names, version)

    def test_both_versions_describe_every_verb(self):
        for version in VERSIONS:
            for service, verbs in VERBS.items():
                found = [
                    one.name
                    for file in files(version, service)
                    for one_service in file.service
                    if f"{file.package}.{one_service.name}" == service
                    for one in one_service.method
                ]
                self.assertCountEqual(found, verbs, f"{version}: {service}")

    def test_every_element_has_a_comment(self):
        for version in VERSIONS:
            seen = 0
            for file in all_files(version):
                self.assertEqual(without_comment(file), [], f"{version}: {file.name}")
                seen += len(list(elements(file)))
            # A walk that finds nothing would be content as well.
            self.assertGreater(seen, 500, version)


class Sockets(unittest.TestCase):
    def setUp(self):
        self.handles = []

    def tearDown(self):
        for handle in self.handles:
            API.call("Close", {"handle": handle})

    def test_the_daemon_is_healthy(self):
        answer = API.call("Check", service="grpc.health.v1.Health")
        self.assertEqual(answer, {"status": "SERVING"})

    def test_text_and_bytes_go_both_ways_over_tcp(self):
        listener, address = self.listening()
        near = self.socket(TCP)
        local = API.call("Connect", {"handle": near, "address": address})["localAddress"]
        accepted = API.call("Accept", {"handle": listener})
        far = self.own(accepted["handle"])
        self.assertEqual(accepted["peerAddress"], local)

        sent = API.call("Send", {"handle": near, "text": "hello"})
        self.assertEqual(sent, {"bytesSent": "5"})
        received = API.call("Recv", {"handle": far, "asText": True})
        self.assertEqual(received, {"text": "hello", "fullLength": "5"})

        API.call("Send", {"handle": far, "data": "AP8="})
        received = API.call("Recv", {"handle": near, "asText": True})
        self.assertEqual(received, {"data": "AP8=", "fullLength": "2"})

        API.call("Shutdown", {"handle": near, "how": "SHUTDOWN_HOW_WRITE"})
        received = API.call("Recv", {"handle": far})
        self.assertTrue(received["endOfStream"])

    def test_a_datagram_comes_with_its_senders_address(self):
        here, there = self.socket(UDP), self.socket(UDP)
        address = self.bound(here)
        sender = self.bound(there)
        API.call("SendTo", {"handle": there, "address": address, "text": "ping"})
        received = API.call("RecvFrom", {"handle": here, "asText": True})
        self.assertEqual(received, {"text": "ping", "address": sender, "fullLength": "4"})

    def test_a_refused_connection_says_so_in_readable_details(self):
        # Bound but not listening: nobody else gets the port, and nobody answers.
        address = self.bound(self.socket(TCP))
        handle = self.socket(TCP)
        with self.assertRaises(grpc.RpcError) as caught:
            API.call("Connect", {"handle": handle, "address": address})
        error = caught.exception
        self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn("Connection refused", error.details())
        info = API.details(error)["google.rpc.ErrorInfo"]
        self.assertEqual(
            info,
            {
                "reason": "ECONNREFUSED",
                "domain": "errno.farsock",
                "metadata": {"errno": "111", "syscall": "connect", "handle": handle},
            },
        )

    def test_a_malformed_request_is_told_its_field(self):
        handle = self.socket(TCP)
        address = {"ip": {"host": "127.0.0.1", "port": 65536}}
        with self.assertRaises(grpc.RpcError) as caught:
            API.call("Bind", {"handle": handle, "address": address})
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        details = API.details(caught.exception)
        self.assertEqual(details["google.rpc.ErrorInfo"]["reason"], "INVALID_REQUEST")
        violations = details["google.rpc.BadRequest"]["fieldViolations"]
        self.assertEqual([one["field"] for one in violations], ["address.ip.port"])

    def test_an_accept_that_met_its_deadline_took_nothing(self):
        listener, address = self.listening()
        with self.assertRaises(grpc.RpcError) as caught:
            API.call("Accept", {"handle": listener, "timeout": "10s"}, deadline=0.3)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.until_waiting(listener, 0)

        again = API.start("Accept", {"handle": listener, "timeout": "10s"})
        self.until_waiting(listener, 1)
        near = self.socket(TCP)
        API.call("Connect", {"handle": near, "address": address})
        far = self.own(API.answer(again)["handle"])
        API.call("Send", {"handle": near, "text": "still there"})
        received = API.call("Recv", {"handle": far, "asText": True})
        self.assertEqual(received["text"], "still there")

    def test_a_cancelled_accept_took_nothing(self):
        listener, address = self.listening()
        waiting = API.start("Accept", {"handle": listener})
        self.until_waiting(listener, 1)
        waiting.cancel()
        self.until_waiting(listener, 0)
        API.call("Connect", {"handle": self.socket(TCP), "address": address})
        self.own(API.call("Accept", {"handle": listener})["handle"])

    def test_four_mebibytes_pass_both_ways_through_streams(self):
        listener, address = self.listening()
        near = self.socket(TCP)
        API.call("Connect", {"handle": near, "address": address})
        far = self.own(API.call("Accept", {"handle": listener})["handle"])
        there, back = (random.Random(seed).randbytes(4 << 20) for seed in (1, 2))
        # Two threads must not ask the reflection at once.
        API.pool.FindServiceByName("farsock.v1.StreamService")
        with ThreadPoolExecutor() as pool:
            ends = [pool.submit(exchange, near, there), pool.submit(exchange, far, back)]
            received = [end.result() for end in ends]
        checksums = [hashlib.sha256(data).hexdigest() for data in (back, there)]
        self.assertEqual(received, checksums)

    def socket(self, kind):
        return self.own(API.call("CreateSocket", kind)["handle"])

    def own(self, handle):
        self.handles.append(handle)
        return handle

    def bound(self, handle):
        return API.call("Bind", {"handle": handle, "address": ANY_PORT})["localAddress"]

    def listening(self):
        handle = self.socket(TCP)
        address = self.bound(handle)
        API.call("Listen", {"handle": handle, "backlog": 16})
        return handle, address

    def until_waiting(self, handle, count):
        """Returns when `count` operations wait on a handle."""
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            socket = API.call("GetSocket", {"handle": handle})["socket"]
            if socket.get("waitingOperations", 0) == count:
                return
        self.fail(f"handle {handle} never had {count} waiting operations")


def exchange(handle, data, window=1 << 20):
    """Sends `data` through a stream and ends that direction; returns the checksum of all that comes."""
    request = API.message("farsock.v1.StreamRequest")
    said = queue.SimpleQueue()
    said.put(request(open={"handle": int(handle), "window": window}))
    sent, limit, finished, ended, received = 0, 0, False, 0, bytearray()
    for response in API.stream("Stream", iter(said.get, None)):
        kind = response.WhichOneof("message")
        if kind == "opened":
            limit = response.opened.send_limit
        elif kind == "credit":
            limit = response.credit.limit
        elif kind == "data":
            received += response.data
            count = len(received)
            said.put(request(credit={"received": count, "limit": count + window}))
        else:
            assert not getattr(response, kind).HasField("error"), response
            ended += 1
        while sent < min(limit, len(data)):
            end = min(limit, len(data), sent + 100_000)
            said.put(request(data=data[sent:end]))
            sent = end
        if sent == len(data) and not finished:
            said.put(request(finish={"offset": sent}))
            finished = True
        if ended == 2:
            said.put(None)
    return hashlib.sha256(received).hexdigest()


def files(version, symbol):
    """The files that the server sends for a symbol, its own first."""
    answer = ask(CHANNEL, version, file_containing_symbol=symbol).file_descriptor_response
    return [FileDescriptorProto.FromString(file) for file in answer.file_descriptor_proto]


def all_files(version):
    """Every file of the API, once: those of the services and what they import, however the server groups them."""
    found = {}
    wanted = [file for service in VERBS for file in files(version, service)]
    while wanted:
        file = wanted.pop()
        if file.name in found or file.package != "farsock.v1":
            continue
        found[file.name] = file
        for name in file.dependency:
            answer = ask(CHANNEL, version, file_by_filename=name).file_descriptor_response
            wanted += [FileDescriptorProto.FromString(one) for one in answer.file_descriptor_proto]
    return found.values()


if __name__ == "__main__":
    TARGET = sys.argv.pop(1)
    # Over a unix socket grpcio would name the path as the authority, which no HTTP/2 server need take.
    OPTIONS = [("grpc.default_authority", "localhost")] if TARGET.startswith("unix:") else []
    CHANNEL = grpc.insecure_channel(TARGET, options=OPTIONS)
    API = Api(CHANNEL)
    unittest.main(verbosity=2)
