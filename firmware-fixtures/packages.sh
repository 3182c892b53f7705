#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Are the compilers there? Installs what is missing when it may, else names the command.
set -eu

# tool, Debian package
wanted() {
	cat <<-'LIST'
	clang-14 clang-14
	wasm-ld-14 lld-14
	llvm-ar-14 llvm-14
	arm-none-eabi-gcc gcc-arm-none-eabi
	make make
	dpkg-source dpkg-dev
	xz xz-utils
	LIST
}

missing=$(wanted | while read -r tool package; do
	command -v "$tool" >/dev/null 2>&1 || printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	apt-get update -q
	# shellcheck disable=SC2086 # one word per package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
else
	echo "missing build packages; on Debian 12: sudo apt-get install $missing" >&2
	exit 1
fi
