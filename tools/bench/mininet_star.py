"""A star of mininet hosts on one Linux bridge. Says `up`, waits for a line, takes it down, says `down`.

Runs in the machine's own Python, for which Debian's mininet is. star.py starts it.
"""

import sys

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge

network = Mininet(switch=LinuxBridge, controller=None, waitConnected=False, ipBase="10.0.0.0/16")
bridge = network.addSwitch("s1")
for number in range(int(sys.argv[1])):
    host = network.addHost(f"h{number}", ip=f"10.0.{number // 250}.{number % 250 + 1}/16")
    network.addLink(host, bridge)
network.start()
print("up", flush=True)
sys.stdin.readline()
network.stop()
print("down", flush=True)
