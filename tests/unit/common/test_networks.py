"""Addresses of clients: their canonical form, and the networks that contain them."""

import pytest

from apps.common.networks import is_within, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        (None, None),
        ("192.0.2.7:80", None),
        ("unix:", None),
        ("192.0.2.7, 10.0.0.1", None),
    ],
)
def test_address(text: str | None, address: str | None) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("192.0.2.7", ("192.0.2.0/24",), True),
        ("192.0.3.7", ("192.0.2.0/24", "::1"), False),
        ("::1", ("192.0.2.0/24", "::1"), True),
        ("192.0.2.7", ("0.0.0.0/0",), True),
        ("2001:db8::1", ("0.0.0.0/0",), False),
        (None, ("0.0.0.0/0", "::/0"), False),
        (None, ("*",), True),
        ("192.0.2.7", (), False),
    ],
)
def test_networks(address: str | None, networks: tuple[str, ...], within: bool) -> None:
    assert is_within(address, networks) is within
