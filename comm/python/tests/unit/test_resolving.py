"""Names are looked up as told while that is asked for, and no longer."""

import socket

import pytest
from pl.resolving import resolving


def test_a_name_is_the_address_that_was_told() -> None:
    with resolving({"photos.example": "127.0.0.7"}):
        assert socket.getaddrinfo("photos.example", 80)[0][4] == ("127.0.0.7", 80)
        assert socket.getaddrinfo("127.0.0.1", 81)[0][4] == ("127.0.0.1", 81)


def test_a_server_is_reached_under_a_name_that_nobody_else_knows() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, resolving({"photos.example": "127.0.0.1"}):
        socket.create_connection(("photos.example", server.getsockname()[1])).close()


def test_afterwards_the_name_is_unknown_again() -> None:
    with resolving({"photos.invalid": "127.0.0.1"}):
        pass
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("photos.invalid", 80)
