"""Lab files as hypothesis draws them: networks, jails and links of one host."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.lists(st.sampled_from([f"j{n}" for n in range(8)]), min_size=1, max_size=4, unique=True)


@st.composite
def lab_files(draw: st.DrawFn) -> str:
    networks = draw(st.lists(st.sampled_from(["lan", "dmz", "back"]), max_size=2, unique=True))
    lines = ["networks:"] if networks else []
    for number, name in enumerate(networks):
        subnet = draw(
            st.sampled_from([f"10.{number}.0.0/24", f"10.{number}.0.0/29", f'[10.{number}.0.0/24, "fd0{number}::/64"]'])
        )
        extra = draw(
            st.sampled_from(
                [
                    "",
                    ", uplink: em0" if number == 0 else "",
                    ", nat: em1" if "fd0" not in subnet else "",
                    ", mtu: 1400",
                    ", private: true",
                    ", host: .1",
                ]
            )
        )
        lines.append(f"  {name}: {{subnet: {subnet}{extra}}}")
    lines.append("jails:")
    names = draw(NAMES)
    for name in names:
        keys = [f"{network}: auto" for network in networks if draw(st.booleans())]
        keys += draw(
            st.lists(
                st.sampled_from(
                    ["forward: true", "run: /bin/true", "devices: 'bpf*'", "allow: raw_sockets", "base: /base"]
                ),
                max_size=2,
                unique=True,
            )
        )
        lines.append(f"  {name}: {{{', '.join(keys)}}}")
    if len(names) > 1 and draw(st.booleans()):
        lines += ["links:", f"  - [{names[0]}: 10.99.0.1/30, {names[1]}: 10.99.0.2/30]"]
    return "\n".join(lines) + "\n"
