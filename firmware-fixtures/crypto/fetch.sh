#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes the crypto libraries from Debian's source packages, through the package sources this system already uses, into
# firmware-fixtures/build/crypto. Nothing else is touched and root is not needed. What is there already, with the
# pinned SHA-256, is not fetched again.
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
build="$here/../build/crypto"

# package, upstream tarball as Debian keeps it, its SHA-256, the headers the sources of sources.txt need
packages() {
	cat <<'EOF'
bearssl bearssl_0.6+dfsg.1.orig.tar.xz 102a625bd8f6155260867a50c508df8d8c3f796985dd744df1a68e5cd1a79004 inc/*.h src/inner.h src/config.h LICENSE.txt
libsodium libsodium_1.0.18.orig.tar.gz d59323c6b712a1519a5daf710b68f5e7fde57040845ffec53850911f10a5d4f4 src/libsodium/include/sodium/*.h src/libsodium/include/sodium/private/*.h src/libsodium/crypto_core/ed25519/ref10/fe_25_5/*.h src/libsodium/crypto_sign/ed25519/ref10/*.h LICENSE
EOF
}

is_pinned() { # file, SHA-256
	[ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]
}

# The system's own Debian sources, with deb-src in the place of deb, and lists and cache of our own beside them.
private_apt() {
	mkdir -p "$build/apt/sources" "$build/apt/lists/partial" "$build/apt/cache/archives/partial"
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$file" >"$build/apt/sources/$(basename "$file")"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$file" ] || continue
		sed -n 's/^deb /deb-src /p' "$file" >"$build/apt/sources/$(basename "$file" .list).list"
	done
}

apt() {
	apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$build/apt/sources" -o Dir::State::lists="$build/apt/lists" \
		-o Dir::Cache="$build/apt/cache" "$@"
}

fetch() { # package, tarball, SHA-256
	cd "$build"
	if [ ! -d apt/sources ]; then
		private_apt
		apt update || true # another vendor's list without sources is no reason to stop
	fi
	apt source --download-only "$1" || true
	is_pinned "$2" "$3" && return
	echo "crypto/fetch.sh: no $2 with SHA-256 $3 could be had as Debian source package $1." >&2
	echo "Put that file into firmware-fixtures/build/crypto and run again." >&2
	exit 1
}

unpack() { # package, tarball, headers...
	package=$1 tarball=$2
	shift 2
	rm -rf "${build:?}/$package"
	mkdir -p "$build/$package"
	sources=$(sed -n "s/^$package //p" "$here/sources.txt")
	set -f
	patterns=""
	for member in $sources "$@"; do patterns="$patterns */$member"; done
	# shellcheck disable=SC2086 # a list of patterns
	tar -xf "$build/$tarball" -C "$build/$package" --strip-components=1 --no-same-owner \
		--wildcards --no-wildcards-match-slash --anchored $patterns
	set +f
}

# Which list and which tarball an unpacked tree came from: changes when either does.
wanted() { # package, SHA-256
	echo "$2 $(sha256sum <"$here/sources.txt") $(sha256sum <"$here/fetch.sh")"
}

mkdir -p "$build"
packages | while read -r package tarball sha headers; do
	stamp="$build/$package.unpacked"
	[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted "$package" "$sha")" ] && continue
	is_pinned "$build/$tarball" "$sha" || fetch "$package" "$tarball" "$sha"
	set -f
	# shellcheck disable=SC2086 # a list of headers
	unpack "$package" "$tarball" $headers
	set +f
	wanted "$package" "$sha" >"$stamp"
done
