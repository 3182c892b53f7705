#!/bin/sh
# First program of the machine: finds the disk, hands over to boot.sh on it.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do $b sleep 0.05; tries=$((tries + 1)); done
$b mount -t ext4 -o noatime /dev/vda /root || echo "usb-vm: no disk"
$b mount -o move /dev /root/dev
exec $b switch_root /root /boot.sh
