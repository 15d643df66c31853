//! Sending and receiving: send(2), recv(2) and their relatives.
