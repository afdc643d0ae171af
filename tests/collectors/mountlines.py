"""Lines of /proc/self/mountinfo: a small system, a stick, a server's folder."""

SYSTEM = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime shared:7 - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime shared:2 - devtmpfs devtmpfs rw,size=12334524k,mode=755
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /run rw,nosuid shared:5 master:3 - tmpfs tmpfs rw,mode=755
"""
STICK = r"40 27 8:1 / /media/my\040stick rw,relatime - vfat /dev/sda1 rw" + "\n"
SERVER = "41 27 0:44 / /srv rw,relatime - nfs4 10.0.0.9:/export rw,hard\n"
