"""Wires: Ethernet segments that join NICs, carry tags untouched, and can be cut and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vjail.kernel.model.devices import Device


class Wire:
    """A segment, and the NICs on it in the order in which they were plugged in.

    It can be cut as a whole, and a single plug can be pulled; the two are apart.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_cut = False
        self._ports: list[Device] = []
        self._pulled: list[Device] = []

    def plug(self, device: Device) -> None:
        """Put a NIC on the wire."""
        self._ports.append(device)
        device.wire = self

    def unplug(self, device: Device) -> None:
        """Take a NIC off the wire; the plug that it had is none that is pulled any more."""
        self._ports = [each for each in self._ports if each is not device]
        self.pull(device, False)
        device.wire = None

    def pull(self, device: Device, out: bool) -> None:
        """Pull a NIC's plug, or put it back."""
        self._pulled = [each for each in self._pulled if each is not device] + [device] * out

    def reaches(self, device: Device) -> bool:
        """Whether the wire reaches a NIC."""
        return not self.is_cut and device not in self._pulled

    def others(self, device: Device) -> list[Device]:
        """The NICs that a frame from one of them reaches."""
        return [port for port in self._ports if port is not device and self.reaches(port)]

    def ports(self) -> tuple[Device, ...]:
        """The NICs on the wire."""
        return tuple(self._ports)
