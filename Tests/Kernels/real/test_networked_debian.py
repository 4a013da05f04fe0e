"""Two real Debian 12 systems in QEMU on one wire: one crashes, the other takes its dumps, by ssh through a VLAN, by NFS over IPv6
and as version 3, and by https. What the crash kernel knows of the network is what `mcore arm` saw.

Needs root, for the files of the systems.
"""

import json
import os
import pathlib
import tempfile
import unittest

from guest import installed
from guest.paths import CACHE, fetch_kernel, kernel_release

from .test_dumps import BIN

SERIES = "6.1"  # Debian 12's own
# By which both find the only device of the other kind than lo.
DEVICE = "cd /sys/class/net; device=$(ls -d e*)"
# Sets the addresses of one end: $1 is the last part of each.
NETWORK = f"""#!/bin/sh
set -e
{DEVICE}
ip link set $device up
ip addr add 192.0.2.$1/24 dev $device
ip addr add fd00:7::$1/64 dev $device nodad
ip link add link $device name vlan7 type vlan id 7
ip addr add 198.51.100.$1/24 dev vlan7
ip link set vlan7 up
"""
HOSTS = "198.51.100.1 vlan.example\nfd00:7::1 six.example\n192.0.2.1 dumps.example\n"
NGINX = """
worker_processes 1; user root;
events {}
http {
  access_log off; client_max_body_size 0;
  server {
    listen 443 ssl; server_name dumps.example;
    ssl_certificate /root/certificate.pem; ssl_certificate_key /root/key.pem;
    root /srv;
    location /dav/ { dav_methods PUT DELETE MKCOL MOVE; create_full_put_path on; }
  }
}
"""
SERVER = """#!/bin/sh
set -e
mkdir -p /srv/ssh /srv/nfs /srv/dav /root/.ssh
echo '/srv/nfs *(rw,sync,no_root_squash,no_subtree_check,fsid=1)' >/etc/exports
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=dumps.example \\
    -addext subjectAltName=DNS:dumps.example -days 2 -keyout /root/key.pem -out /root/certificate.pem 2>/dev/null
nginx -c /root/nginx.conf
systemctl start ssh rpcbind nfs-server
"""


@unittest.skipUnless(os.geteuid() == 0, "a root of Debian can only be made by root")
class NetworkedDebian(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-networked-", dir=CACHE)
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        kernel = fetch_kernel(SERIES)
        self.release = kernel_release(kernel)
        self.root = installed.network_root_of(kernel)
        self.deb = installed.package(BIN, self.work)

    def machine(self, name: str, end: str, texts: dict, *, has_mcore: bool) -> installed.Installed:
        """One end of the wire, booted. `texts` are files in /root."""
        files = [BIN / "mcore"]
        for file, text in texts.items():
            files.append(self.work / file)
            files[-1].write_text(text)
        image = installed.make_disk(self.work / f"{name}.img", self.root, self.deb, installed=has_mcore, files=files)
        wire = f"stream,id=net,server={end},addr.type=unix,addr.path={self.work}/wire"
        session = installed.Installed(
            self.root,
            [image],
            CACHE / "logs" / f"test-{self.release}-networked-{name}.log",
            append="crashkernel=176M" if has_mcore else "",
            memory="2G" if has_mcore else "1G",
            devices=["-netdev", wire, "-device", f"virtio-net-pci,netdev=net,mac=52:54:00:00:07:{end == 'on':02x}"],
        )
        self.addCleanup(session.guest.kill)
        session.boot()
        return session

    def test_dumps_arrive(self):
        server = self.machine("server", "on", {"net": NETWORK, "nginx.conf": NGINX, "serve": SERVER}, has_mcore=False)
        server.check("sh /root/net 1 && sh /root/serve", 240)
        client = self.machine("client", "off", {"net": NETWORK}, has_mcore=True)
        client.check(f"sh /root/net 2; printf '{HOSTS}' >>/etc/hosts; sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf")
        client.check("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
        key = client.check("cat /root/.ssh/id_ed25519.pub").strip()
        server.check(f"echo '{key}' >/root/.ssh/authorized_keys")
        client.check("ssh-keyscan -t ed25519 vlan.example 2>/dev/null >/root/.ssh/known_hosts", 60)
        certificate = server.check("cat /root/certificate.pem")
        client.check(f"echo '{certificate}' >/root/certificate.pem; echo 'cacert = /root/certificate.pem' >/root/curl.conf")
        client.check("chmod 600 /root/curl.conf")
        kinds = [
            ("ssh:root@vlan.example:/srv/ssh", "ssh:", r"vlan 1 parent=0 tag=7 ", "vlan.example"),
            ("nfs:six.example:/srv/nfs", "nfs:", r"address=fd00:7::1 ", "six.example"),
            ("https://dumps.example/dav/", "https:", r"address=192.0.2.1 ", "dumps.example"),
            ("nfs:dumps.example:/srv/nfs", "nfs:", r"address=192.0.2.1 ", "dumps.example"),
        ]
        for number, (target, saved, armed, host) in enumerate(kinds):
            if number > 0:
                client.check("sh /root/net 2")
            if number == 3:
                server.check("printf '[nfsd]\\nvers4=n\\n' >/etc/nfs.conf.d/v3.conf; systemctl restart nfs-server", 120)
            settings = rf"target={target}\ntarget=/var/crash\nmotd=no\ncurl-config=/root/curl.conf\n"
            client.check(f"printf '{settings}' >/etc/mcore.conf")
            # After three crashes soon after one another it arms itself no more.
            force = "--force" if number == 3 else ""
            self.assertRegex(client.check(f"mcore arm --check {force}", 240), armed)
            told = client.check(f"mcore arm {force} && mcore status", 240)
            self.assertIn(f"target {target}: it answers", told)
            client.crash()
            client.guest.expect(f"network: {host} by ", 200, or_fail=installed.ERROR)
            client.come_back(saved)
            self.assertEqual(json.loads(client.check("mcore list --json"))["dumps"], [])
        server.check("chmod +x /root/mcore")
        for directory, count in (("ssh", 1), ("nfs", 2), ("dav", 1)):
            names = server.check(f"ls /srv/{directory}").split()
            self.assertEqual(len(names), count, names)
            for name in names:
                self.assertNotIn("incomplete", name)
                server.check(f"/root/mcore verify -q /srv/{directory}/{name}", 240)
                facts = json.loads(server.check(f"cat /srv/{directory}/{name}/dump.json"))
                self.assertEqual((facts["status"], facts["kernel"]["release"]), ("complete", self.release))
                self.assertNotIn("attempts", facts)
        client.power_off()
        server.power_off()


if __name__ == "__main__":
    unittest.main()
