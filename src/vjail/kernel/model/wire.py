"""Wires: Ethernet segments that join NICs, carry tags untouched, and can be cut and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vjail.kernel.model.devices import Device


class Wire:
    """A segment, and the NICs on it in the order in which they were plugged in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_cut = False
        self._ports: list[Device] = []

    def plug(self, device: Device) -> None:
        """Put a NIC on the wire."""
        self._ports.append(device)
        device.wire = self

    def others(self, device: Device) -> list[Device]:
        """The NICs a frame from one of them reaches."""
        return [port for port in self._ports if port is not device]

    def ports(self) -> tuple[Device, ...]:
        """The NICs on the wire."""
        return tuple(self._ports)

    def cut(self) -> None:
        """Let nothing through."""
        self.is_cut = True

    def mend(self) -> None:
        """Let everything through again."""
        self.is_cut = False
