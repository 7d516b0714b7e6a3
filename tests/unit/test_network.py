"""Which hosts a callback may go to."""

from __future__ import annotations

import pytest

from bot.domain.callbacks.network import private_address


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost", "this machine"),
        ("LOCALHOST.", "this machine"),
        ("db.localhost", "this machine"),
        ("127.0.0.1", "a loopback address"),
        ("127.8.8.8", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("::127.0.0.1", "a loopback address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("2002:7f00:1::", "a loopback address"),
        ("0.0.0.0", "an unspecified address"),
        ("::", "an unspecified address"),
        ("10.1.2.3", "a private address"),
        ("172.16.0.1", "a private address"),
        ("192.168.1.1", "a private address"),
        ("100.64.0.1", "a private address"),
        ("100.100.100.200", "a private address"),
        ("192.0.2.1", "a private address"),
        ("fd00:ec2::254", "a private address"),
        ("fec0::1", "a private address"),
        ("::ffff:10.0.0.1", "a private address"),
        ("2001:db8::1", "a private address"),
        ("169.254.169.254", "a link-local address"),
        ("fe80::1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("ff0e::1", "a multicast address"),
        ("240.0.0.1", "a reserved address"),
        ("255.255.255.255", "a reserved address"),
        ("64:ff9b:1::1", "a reserved address"),
        ("192.0.0.192", "a cloud platform's own address"),
        ("168.63.129.16", "a cloud platform's own address"),
    ],
)
def test_what_only_the_inside_reaches_is_private(host: str, kind: str) -> None:
    assert private_address(host) == kind


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "example.com",
        "localhost.example.com",
        "notlocalhost",
    ],
)
def test_public_addresses_and_unknown_names_are_not(host: str) -> None:
    assert private_address(host) is None
