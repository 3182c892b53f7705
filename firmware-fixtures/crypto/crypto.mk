# SPDX-License-Identifier: Apache-2.0
# What a program links for hashes and signatures. Needs crypto/fetch.sh to have run (target $(CRYPTO_READY)).
# The including Makefile sits in firmware-fixtures and adds a libc (string.h) when the target has none.
#   $(CRYPTO_SRC)       libraries' sources, compile with $(CRYPTO_CFLAGS), warnings are theirs
#   $(CRYPTO_OWN_SRC)   our door to them, compile with our warnings and $(CRYPTO_CFLAGS)
CRYPTO_ROOT := build/crypto
CRYPTO_READY := $(CRYPTO_ROOT)/libsodium.unpacked
CRYPTO_SRC := $(shell sed 's|^\([a-z]*\) |$(CRYPTO_ROOT)/\1/|' crypto/sources.txt)
CRYPTO_OWN_SRC := crypto/crypto.c crypto/sodium_gaps.c
CRYPTO_INC := -isystem $(CRYPTO_ROOT)/bearssl/inc -isystem $(CRYPTO_ROOT)/bearssl/src \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/include/sodium \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/crypto_sign/ed25519/ref10 \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/include \
	-isystem crypto/gaps
# BR_*: the portable code on every target, so that each runs what the others were tested with.
CRYPTO_CFLAGS := $(CRYPTO_INC) -DSODIUM_STATIC -DBR_LOMUL=0 -DBR_64=0 -DBR_INT128=0 -DBR_LE_UNALIGNED=0 -DBR_BE_UNALIGNED=0 \
	-DBR_USE_UNIX_TIME=0 -DBR_USE_WIN32_TIME=0 -DBR_USE_URANDOM=0 -DBR_USE_WIN32_RAND=0 -DBR_RDRAND=0 \
	-DBR_AES_X86NI=0 -DBR_SSE2=0 -DBR_POWER8=0

$(CRYPTO_READY): crypto/fetch.sh crypto/sources.txt
	crypto/fetch.sh
$(CRYPTO_SRC): | $(CRYPTO_READY)
