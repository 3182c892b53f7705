#!/bin/sh
# The machine's only start script: drivers, udev, the network to the host, then the agent, which is all that ever runs.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t tmpfs tmp /tmp
$b mount -t tmpfs run /run
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o mode=620,gid=5 pts /dev/pts
for module in $(cat /proc/cmdline | $b tr ' ' '\n' | $b sed -n 's/^usbvm\.modules=//p' | $b tr ',' ' '); do
  /sbin/modprobe "$module"
done
$b ip link set lo up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
$b tar -x -f /dev/vdb -C /app
# node takes its time to start; udev settles meanwhile.
(/lib/systemd/systemd-udevd --daemon && udevadm trigger --subsystem-match=usb --action=add) &
port=$(cat /proc/cmdline | $b tr ' ' '\n' | $b sed -n 's/^usbvm\.port=//p')
node /app/test/support/usb-vm/guest/agent.js "$port"
echo "usb-vm: the agent ended"
$b poweroff -f
