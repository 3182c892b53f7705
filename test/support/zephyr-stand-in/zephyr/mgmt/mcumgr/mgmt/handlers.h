/* Stand-in. */
#pragma once
#define MCUMGR_HANDLER_DEFINE(name, init) \
	void (*const name##_handler)(void) = init
