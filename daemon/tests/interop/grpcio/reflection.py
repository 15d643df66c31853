"""The API as a stranger sees it: from the server's reflection alone, without generated code."""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

# The two versions differ in nothing but the service's name.
VERSIONS = ("v1", "v1alpha")


def ask(channel, version, **question):
    """One question to grpc.reflection.VERSION, and its answer."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(**question)
    return next(iter(call(iter([request]), timeout=10)))


class Api:
    """Calls methods by name with dicts, as JSON has them; answers are dicts too."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def message(self, name):
        """The class of a message, by its full name."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def start(self, verb, request=None, *, service="farsock.v1.SocketService", deadline=10):
        """Starts a call; its answer is `answer(future)`."""
        method = self.pool.FindServiceByName(service).FindMethodByName(verb)
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.unary_unary(
            f"/{service}/{verb}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        return stub.future(json_format.ParseDict(request or {}, request_class()), timeout=deadline)

    def stream(self, verb, requests, *, service="farsock.v1.StreamService", deadline=60):
        """Starts a call that streams both ways: `requests` yields messages; the responses are iterated."""
        method = self.pool.FindServiceByName(service).FindMethodByName(verb)
        stub = self.channel.stream_stream(
            f"/{service}/{verb}",
            request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        return stub(requests, timeout=deadline)

    def answer(self, future):
        """The answer to a call, or its grpc.RpcError."""
        return json_format.MessageToDict(future.result(), descriptor_pool=self.pool)

    def call(self, verb, request=None, **options):
        """Calls and waits for the answer."""
        return self.answer(self.start(verb, request, **options))

    def details(self, error):
        """The details of an error by their names, decoded with what reflection tells of them."""
        trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
        status = self.message("google.rpc.Status").FromString(trailer)
        decoded = {}
        for detail in status.details:
            name = detail.type_url.rpartition("/")[2]
            message = self.message(name).FromString(detail.value)
            decoded[name] = json_format.MessageToDict(message)
        return decoded


def without_comment(file):
    """Which elements of a FileDescriptorProto have no comment, by their full names."""
    commented = {
        tuple(location.path)
        for location in file.source_code_info.location
        if location.leading_comments.strip() or location.trailing_comments.strip()
    }
    return [name for path, name in elements(file) if path not in commented]


def elements(file):
    """All messages, fields, oneofs, enums, values, services and methods: their paths (descriptor.proto) and names."""
    for index, message in enumerate(file.message_type):
        yield from message_elements(message, (4, index), file.package)
    for index, enum in enumerate(file.enum_type):
        yield from enum_elements(enum, (5, index), file.package)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (6, index), name
        for number, method in enumerate(service.method):
            yield (6, index, 2, number), f"{name}.{method.name}"


def message_elements(message, path, scope):
    name = f"{scope}.{message.name}"
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, 2, index), f"{name}.{field.name}"
    for index, oneof in enumerate(message.oneof_decl):
        # `optional` makes a oneof of its own, which nobody wrote.
        if not any(f.proto3_optional and f.oneof_index == index for f in message.field):
            yield (*path, 8, index), f"{name}.{oneof.name}"
    for index, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from message_elements(nested, (*path, 3, index), name)
    for index, enum in enumerate(message.enum_type):
        yield from enum_elements(enum, (*path, 4, index), name)


def enum_elements(enum, path, scope):
    name = f"{scope}.{enum.name}"
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, 2, index), f"{name}.{value.name}"
