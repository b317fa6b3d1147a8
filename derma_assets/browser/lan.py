"""Finding this computer from a phone in the same network."""

import io
import ipaddress
import socket

import psutil
import segno


def lan_addresses() -> list[str]:
    """Return the IPv4 addresses at which other devices of the local network may reach this one, likeliest first."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if name in up and entry.family == socket.AF_INET
    ]
    likeliest = _address_towards_the_world()
    return sorted((address for address in found if _is_reachable(address)), key=lambda one: one != likeliest)


def qr_code(text: str) -> str:
    """Return a QR code of `text` for a terminal, in half blocks."""
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not parsed.is_loopback and not parsed.is_link_local


def _address_towards_the_world() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # An address for documentation (RFC 5737); nothing is sent.
            return str(asked.getsockname()[0])
        except OSError:
            return None
