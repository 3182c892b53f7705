# SPDX-License-Identifier: Apache-2.0
# What a program links for hashes and signatures: the libraries' sources and our door to them, for any target that has
# a string.h. crypto/fetch.sh must have run; paths are relative to firmware-fixtures.
CRYPTO_ROOT := build/crypto
CRYPTO_SRC := crypto/crypto.c crypto/der.c crypto/unwrap.c crypto/aes.c crypto/sodium_gaps.c $(shell sed 's|^\([a-z]*\) |$(CRYPTO_ROOT)/\1/|' crypto/sources.txt)
CRYPTO_INC := -isystem $(CRYPTO_ROOT)/bearssl/inc -isystem $(CRYPTO_ROOT)/bearssl/src \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/include/sodium \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/crypto_sign/ed25519/ref10 \
	-isystem $(CRYPTO_ROOT)/libsodium/src/libsodium/include \
	-isystem crypto/gaps
# BR_*: the portable code on every target, so that each runs what the others were tested with.
CRYPTO_CFLAGS := -DSODIUM_STATIC -DBR_LOMUL=0 -DBR_64=0 -DBR_INT128=0 -DBR_LE_UNALIGNED=0 -DBR_BE_UNALIGNED=0 \
	-DBR_USE_UNIX_TIME=0 -DBR_USE_WIN32_TIME=0 -DBR_USE_URANDOM=0 -DBR_USE_WIN32_RAND=0 -DBR_RDRAND=0 \
	-DBR_AES_X86NI=0 -DBR_SSE2=0 -DBR_POWER8=0
