/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that survives a reset but not a power cut: how application and bootloader talk to each other. */
#ifndef RETAINED_H
#define RETAINED_H
#include <stdint.h>

#define RETAINED_MAGIC 0x52504231u
#define RETAINED_EVENTS 24u

enum boot_request { BOOT_REQUEST_NORMAL = 0, BOOT_REQUEST_RECOVERY = 1 }; /* Zephyr's retention boot-mode values */
enum reset_cause { RESET_POWER_ON = 0, RESET_SOFTWARE = 1, RESET_WATCHDOG = 2, RESET_FAULT = 3 };

enum event_type {
	EVENT_VERIFY_FAILED = 1,    /* reason: verify_reason; value: for counter reasons the image's counter */
	EVENT_SWAPPED = 2,          /* value: MCUboot swap type (2 test, 3 permanent) */
	EVENT_REVERTED = 3,
	EVENT_COUNTER_ADVANCED = 4, /* value: the new stored counter */
	EVENT_ERASED = 5,           /* a refused image was erased from the slot */
	EVENT_SWAP_RESUMED = 6,     /* an interrupted swap was finished; value: swap type */
	EVENT_RECOVERY = 7,         /* serial recovery entered; value: 1 asked for, 2 no valid image */
	EVENT_STARTED = 8,          /* image started; value: its security counter, 0 if none */
	EVENT_DOWNGRADE_REFUSED = 9,/* software downgrade prevention; reason VERIFY_VERSION or VERIFY_COUNTER_LOW */
	EVENT_DEPENDENCY = 10,      /* update held back: a dependency is not met */
};
enum verify_reason {
	VERIFY_OK = 0, VERIFY_HEADER = 1, VERIFY_SIZE = 2, VERIFY_TLV = 3, VERIFY_HASH = 4, VERIFY_NO_SIGNATURE = 5,
	VERIFY_UNKNOWN_KEY = 6, VERIFY_SIGNATURE = 7, VERIFY_COUNTER_LOW = 8, VERIFY_COUNTER_MISSING = 9,
	VERIFY_TLV_NOT_ALLOWED = 10, VERIFY_FLAGS = 11, VERIFY_NOT_BOOTABLE = 12, VERIFY_VERSION = 13,
	VERIFY_ENTRY = 14, /* the image's entry point lies outside it */
	VERIFY_KEY = 15,   /* encrypted, and not for this board */
	VERIFY_ADDRESS = 16, /* made for another place than the one it would run from */
	VERIFY_TRIAL = 17, /* it ran once and nobody confirmed it, or it may not run at all */
	VERIFY_UNPACK = 18, /* compressed, and damaged or in a way that is not unpacked here */
	VERIFY_COUNTER_EXHAUSTED = 19, /* the stored counter has no steps left to reach the image's */
};

struct boot_event {
	uint8_t type, image, slot, reason;
	uint32_t value;
};

struct retained {
	uint32_t magic;
	uint8_t boot_request; /* set by the application (reset with boot_mode), cleared by the bootloader */
	uint8_t reset_cause;  /* set by whoever resets, read and cleared to RESET_POWER_ON.. by the next boot */
	uint8_t last_cause;   /* why the current boot happened, for the application to report */
	uint8_t in_recovery;
	uint32_t boots;       /* since power on */
	uint32_t event_count; /* events ever logged since power on; the newest RETAINED_EVENTS are kept, a ring */
	struct boot_event events[RETAINED_EVENTS];
	uint8_t slot[2];      /* that each image runs from */
	uint8_t zero[2];
};

void retained_load(struct retained *r);        /* zeroed and magic set if the memory holds nothing valid */
void retained_store(const struct retained *r);

#endif
