//! farsockd as a library: it owns real kernel sockets and hands them out as handles over gRPC.

mod sys;
